//! Chunks as a map: a row of cells, or a field of them.
//!
//! Where there are more chunks than cells, neighbours share a cell and the worst of them gives it its state; so a map never hides a
//! chunk that differs, and its size has a bound. States are told apart by colour, by height, by hatching and, where there is room,
//! by a letter; beside the map stands the same in words.
//!
//! Invariant: equal neighbours are one shape, so a table of which all is well costs a hundred bytes.

use super::frame::counted;
use maud::{Markup, html};

/// The most cells of a table's row in a list.
pub const STRIP_CELLS: u64 = 60;
/// The most cells of a table's own map, and how many stand side by side.
const FIELD_CELLS: u64 = 2_000;
const FIELD_WIDTH: u64 = 50;
/// The size of a cell in a row, and in a field.
const STRIP: (u64, u64) = (4, 16);
const FIELD: u64 = 12;
/// How wide a cell of a field is where there is room for it, in pixels.
const FIELD_PIXELS: u64 = 18;

/// A shape: the cells `from..to` have this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// `i`, `d`, `u`, or `s` for what was skipped.
    pub state: char,
    /// The first cell.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
}

/// How bad a state is.
fn badness(state: char) -> u8 {
    match state {
        'i' => 0,
        's' => 1,
        'u' => 2,
        _ => 3,
    }
}

/// The state's word.
pub fn state_word(state: char) -> &'static str {
    match state {
        'i' => "identical",
        's' => "skipped",
        'u' => "unsettled",
        _ => "different",
    }
}

fn letter(state: char) -> &'static str {
    match state {
        'i' => "",
        's' => "S",
        'u' => "U",
        _ => "D",
    }
}

/// What chunks become in at most `most` cells, and how many cells there are.
pub fn merge(chunks: &[(char, u64)], most: u64) -> (Vec<Stretch>, u64) {
    let all: u64 = chunks.iter().map(|(_, many)| many).sum();
    let cells = all.min(most);
    let mut worst: Vec<char> = vec!['i'; usize::try_from(cells).unwrap_or(0)];
    let mut from = 0;
    for (state, many) in chunks.iter().filter(|(_, many)| *many > 0) {
        let cell = |chunk: u64| usize::try_from(chunk * cells / all.max(1)).unwrap_or(0);
        // the last chunk of the stretch has the last cell that it touches
        for cell in worst.iter_mut().take(cell(from + many - 1) + 1).skip(cell(from)) {
            if badness(*state) > badness(*cell) {
                *cell = *state;
            }
        }
        from += many;
    }
    let mut stretches: Vec<Stretch> = Vec::new();
    for (n, state) in worst.into_iter().enumerate() {
        let n = n as u64;
        match stretches.last_mut() {
            Some(last) if last.state == state => last.to = n + 1,
            _ => stretches.push(Stretch { state, from: n, to: n + 1 }),
        }
    }
    (stretches, cells)
}

/// What a map shows, in words.
pub fn in_words(things: &[(char, u64)], one: &str, several: &str) -> String {
    let of =
        |state: char| things.iter().filter(|(kind, _)| *kind == state).map(|(_, many)| many).sum::<u64>();
    let all: u64 = things.iter().map(|(_, many)| many).sum();
    let parts: Vec<String> = ['d', 'u', 's', 'i']
        .into_iter()
        .map(|state| (of(state), state))
        .filter(|(many, _)| *many > 0)
        .map(|(many, state)| format!("{many} {}", state_word(state)))
        .collect();
    format!(
        "{}: {}",
        counted(all, one, several),
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    )
}

/// What fills shapes that colour alone should not tell apart. It stands once on each page, and takes no room.
pub fn patterns() -> Markup {
    html! {
        svg.patterns width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                pattern #hatch-d width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.fill-d width="4" height="4" {}
                    rect.line-d width="1.4" height="4" {}
                }
                pattern #hatch-u width="4" height="4" patternUnits="userSpaceOnUse" {
                    rect.fill-u width="4" height="4" {}
                    circle.line-u cx="2" cy="2" r="1" {}
                }
                pattern #hatch-s width="4" height="4" patternUnits="userSpaceOnUse" {
                    rect.fill-s width="4" height="4" {}
                    rect.line-s width="4" height="1" {}
                }
            }
        }
    }
}

fn shape(state: char, x: u64, y: u64, width: u64, height: u64) -> Markup {
    html! {
        @if state == 'i' {
            rect.fill-i x=(x) y=(y) width=(width) height=(height) {}
        } @else {
            rect x=(x) y=(y) width=(width) height=(height) fill={ "url(#hatch-" (if state == 'd' || state == 'u' { state } else { 's' }) ")" } {}
        }
    }
}

/// A row of cells: what is well lies low, what is not stands up.
pub fn strip(chunks: &[(char, u64)], most: u64, one: &str, several: &str) -> Markup {
    let (stretches, cells) = merge(chunks, most);
    if cells == 0 {
        return html! { span.quiet { "no " (several) } };
    }
    let (wide, high) = STRIP;
    // few cells are drawn wide, so that all maps of a list have one width
    let wide = wide.max(most * wide / cells);
    html! {
        svg.strip viewBox={ "0 0 " (cells * wide) " " (high) } preserveAspectRatio="none" role="img"
            aria-label=(in_words(chunks, one, several)) {
            @for stretch in &stretches {
                @let top = match stretch.state { 'i' => high / 2, 's' => high / 4, 'u' => high / 8, _ => 0 };
                (shape(stretch.state, stretch.from * wide, top, (stretch.to - stretch.from) * wide, high - top))
            }
        }
    }
}

/// A field of cells, row by row in the order of the key.
pub fn field(chunks: &[(char, u64)]) -> Markup {
    let (stretches, cells) = merge(chunks, FIELD_CELLS);
    if cells == 0 {
        return html! { p.quiet { "No chunks were compared yet." } };
    }
    let all: u64 = chunks.iter().map(|(_, many)| many).sum();
    let width = cells.min(FIELD_WIDTH);
    let rows = cells.div_ceil(FIELD_WIDTH);
    html! {
        svg.field width=(width * FIELD_PIXELS)
            viewBox={ "0 0 " (width * FIELD) " " (rows * FIELD) } role="img" aria-label=(in_words(chunks, "chunk", "chunks")) {
            @for stretch in &stretches {
                @let (first, last) = (stretch.from * all / cells + 1, (stretch.to * all).div_ceil(cells));
                g {
                    title { @if first == last { "chunk " (first) } @else { "chunks " (first) " to " (last) } ": " (state_word(stretch.state)) }
                    @for line in lines(*stretch) {
                        @let (x, y) = (line.from % FIELD_WIDTH * FIELD, line.from / FIELD_WIDTH * FIELD);
                        (shape(stretch.state, x, y, (line.to - line.from) * FIELD, FIELD))
                        @if stretch.state != 'i' {
                            text x=(x + FIELD / 2) y=(y + FIELD - 3) text-anchor="middle" { (letter(stretch.state)) }
                        }
                    }
                }
            }
            @for n in 1..width { rect.grid x=(n * FIELD) y="0" width="0.6" height=(rows * FIELD) {} }
            @for n in 1..rows { rect.grid x="0" y=(n * FIELD) width=(width * FIELD) height="0.6" {} }
        }
    }
}

/// A stretch cut where a row of the field ends.
fn lines(stretch: Stretch) -> impl Iterator<Item = Stretch> {
    (stretch.from / FIELD_WIDTH..=(stretch.to - 1) / FIELD_WIDTH).map(move |row| Stretch {
        state: stretch.state,
        from: stretch.from.max(row * FIELD_WIDTH),
        to: stretch.to.min((row + 1) * FIELD_WIDTH),
    })
}

/// What the shapes of a map mean.
pub fn legend() -> Markup {
    html! {
        ul.legend aria-label="what the map means" {
            @for (state, name) in [('i', "identical"), ('d', "D different"), ('u', "U unsettled"), ('s', "S skipped")] {
                li { svg width="16" height="12" aria-hidden="true" { (shape(state, 0, 0, 16, 12)) } " " (name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(state: char, from: u64, to: u64) -> Stretch {
        Stretch { state, from, to }
    }

    #[test]
    fn a_chunk_that_differs_is_never_lost_among_others() {
        assert_eq!(merge(&[('i', 3), ('d', 1)], 10), (vec![stretch('i', 0, 3), stretch('d', 3, 4)], 4));
        for place in [0, 1, 49_999, 99_998, 99_999] {
            let chunks = [('i', place), ('d', 1), ('i', 99_999 - place)];
            let (stretches, cells) = merge(&chunks, 60);
            let bad: Vec<&Stretch> = stretches.iter().filter(|stretch| stretch.state == 'd').collect();
            assert!(matches!(&bad[..], [one] if one.to - one.from == 1), "{place}: {stretches:?}");
            assert_eq!((cells, stretches.last().unwrap().to), (60, 60));
        }
        assert_eq!(merge(&[], 60), (vec![], 0));
        assert_eq!(merge(&[('u', 2), ('d', 2)], 1), (vec![stretch('d', 0, 1)], 1));
    }

    #[test]
    fn a_map_has_a_bound_and_says_the_same_in_words() {
        let chunks: Vec<(char, u64)> =
            (0..100_000).map(|n| (if n % 2 == 0 { 'i' } else { 'd' }, 1)).collect();
        let text = field(&chunks).into_string();
        assert!(text.len() < 400_000, "{}", text.len());
        assert!(text.contains("100,000 chunks: 50000 different, 50000 identical"));
        let all_well = strip(&[('i', 100_000)], STRIP_CELLS, "chunk", "chunks").into_string();
        assert!(all_well.len() < 250, "{all_well}");
    }
}
