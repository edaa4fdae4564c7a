//! Cuts a text into its statements.
//!
//! A semicolon ends a statement unless it is inside a quoted text, a quoted name or a comment. Statements that
//! hold nothing but space and comments are left out. The text need not be UTF-8: bytes are looked at, and no
//! byte of a multi-byte character is a quote or a semicolon.

/// The statements of `text`, in order, without their semicolons.
#[must_use]
pub fn statements(text: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let (mut start, mut at, mut blank) = (0, 0, true);
    while at < text.len() {
        match text[at] {
            b';' => {
                if !blank {
                    found.push(text[start..at].trim_ascii());
                }
                (start, blank) = (at + 1, true);
                at += 1;
            }
            quote @ (b'\'' | b'"' | b'`') => {
                blank = false;
                at = after_quote(text, at, quote);
            }
            byte => match after_comment(text, at) {
                Some(end) => {
                    blank &= !text[at..].starts_with(b"/*!") && !text[at..].starts_with(b"/*M!");
                    at = end;
                }
                None => {
                    blank &= byte.is_ascii_whitespace();
                    at += 1;
                }
            },
        }
    }
    if !blank {
        found.push(text[start..].trim_ascii());
    }
    found
}

/// Where the quoted texts and names of `text` begin and end, with their quotes.
pub fn quoted(text: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < text.len() {
        at = match (text[at], after_comment(text, at)) {
            (quote @ (b'\'' | b'"' | b'`'), _) => {
                let end = after_quote(text, at, quote);
                let joined = found.last().is_some_and(|&(_, last)| last == at);
                match (found.last_mut(), joined) {
                    (Some(last), true) => last.1 = end,
                    _ => found.push((at, end)),
                }
                end
            }
            (_, Some(end)) => end,
            (_, None) => at + 1,
        };
    }
    found
}

/// Where the quoted text that opens at `open` is over. A doubled quote opens it again, which is the same.
pub(crate) fn after_quote(text: &[u8], open: usize, quote: u8) -> usize {
    let mut at = open + 1;
    while at < text.len() {
        match text[at] {
            b'\\' if quote != b'`' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Where the comment that opens at `at` is over, if one opens there.
fn after_comment(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let dashes = rest.starts_with(b"--") && rest.get(2).is_none_or(|byte| byte.is_ascii_whitespace());
    if dashes || rest.starts_with(b"#") {
        return Some(rest.iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| at + end + 1));
    }
    let body = rest.strip_prefix(b"/*")?;
    Some(body.windows(2).position(|pair| pair == b"*/").map_or(text.len(), |end| at + 2 + end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        statements(text.as_bytes()).iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_cut() {
        assert_eq!(split("select 1; select 2;"), ["select 1", "select 2"]);
        assert_eq!(split(r#"select ';', "a\";b", `c;d` ;x"#), [r#"select ';', "a\";b", `c;d`"#, "x"]);
        assert_eq!(split("select 'it''s; ' ; y"), ["select 'it''s; '", "y"]);
        assert_eq!(split("a /* ; */ b -- ;\n c # ;\n d; e"), ["a /* ; */ b -- ;\n c # ;\n d", "e"]);
        assert_eq!(split("select 1--1; x"), ["select 1--1", "x"]);
    }

    #[test]
    fn blanks_and_comments_are_no_statement_but_versioned_comments_are() {
        assert!(split(" ;; -- nothing\n ; /* ; */ ").is_empty());
        assert_eq!(split("/*!40101 SET NAMES utf8 */;"), ["/*!40101 SET NAMES utf8 */"]);
        assert_eq!(split("select 'open ; "), ["select 'open ;"]);
    }
}
