//! The orders of text, decimals and times, registered with SQLite as collations.
//!
//! `utf8mb4_general_ci` folds case and accents letter by letter, as MySQL's does for Latin, Greek and Cyrillic;
//! `utf8mb4_bin` compares code points. Both ignore trailing spaces (PAD SPACE). Characters outside the basic
//! plane keep their own weight here (MySQL gives them all the same one), so that two emoji are never one key.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{decimal, temporal};

/// How text is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Collation {
    /// Case and accents do not matter.
    GeneralCi,
    /// Code points.
    Bin,
}

impl Collation {
    /// SQLite's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Collation::GeneralCi => "utf8mb4_general_ci",
            Collation::Bin => "utf8mb4_bin",
        }
    }

    /// The protocol's number of it.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Collation::GeneralCi => 45,
            Collation::Bin => 46,
        }
    }

    /// How a collation named in MySQL's words behaves here, if the name is one of MySQL's.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Collation> {
        let name = name.to_ascii_lowercase();
        let charset = name.split('_').next().unwrap_or_default();
        if name == "binary" {
            return Some(Collation::Bin);
        }
        if !CHARSETS.contains(&charset) {
            return None;
        }
        match name.rsplit('_').next() {
            Some("ci") => Some(Collation::GeneralCi),
            Some("bin" | "cs") => Some(Collation::Bin),
            _ => None,
        }
    }
}

/// Character sets that are accepted; text is UTF-8 in every one of them.
pub const CHARSETS: [&str; 6] = ["utf8mb4", "utf8mb3", "utf8", "latin1", "ascii", "binary"];

/// Letters with marks, by the capital that MySQL's general_ci weighs them as.
const FOLDED: [(char, &str); 46] = [
    ('A', "ÀÁÂÃÄÅàáâãäåĀāĂăĄąǍǎǞǟǠǡǺǻȀȁȂȃȦȧḀḁẠạẢảẤấẦầẨẩẪẫẬậẮắẰằẲẳẴẵẶặ"),
    ('B', "ḂḃḄḅḆḇ"),
    ('C', "ÇçĆćĈĉĊċČčḈḉ"),
    ('D', "ĎďḊḋḌḍḎḏḐḑḒḓ"),
    ('E', "ÈÉÊËèéêëĒēĔĕĖėĘęĚěȄȅȆȇȨȩḔḕḖḗḘḙḚḛḜḝẸẹẺẻẼẽẾếỀềỂểỄễỆệ"),
    ('F', "Ḟḟ"),
    ('G', "ĜĝĞğĠġĢģǦǧǴǵḠḡ"),
    ('H', "ĤĥȞȟḢḣḤḥḦḧḨḩḪḫẖ"),
    ('I', "ÌÍÎÏìíîïĨĩĪīĬĭĮįİıǏǐȈȉȊȋḬḭḮḯỈỉỊị"),
    ('J', "Ĵĵǰ"),
    ('K', "ĶķǨǩḰḱḲḳḴḵ"),
    ('L', "ĹĺĻļĽľḶḷḸḹḺḻḼḽ"),
    ('M', "ḾḿṀṁṂṃ"),
    ('N', "ÑñŃńŅņŇňǸǹṄṅṆṇṈṉṊṋ"),
    ('O', "ÒÓÔÕÖòóôõöŌōŎŏŐőƠơǑǒǪǫǬǭȌȍȎȏȪȫȬȭȮȯȰȱṌṍṎṏṐṑṒṓỌọỎỏỐốỒồỔổỖỗỘộỚớỜờỞởỠỡỢợ"),
    ('P', "ṔṕṖṗ"),
    ('R', "ŔŕŖŗŘřȐȑȒȓṘṙṚṛṜṝṞṟ"),
    ('S', "ŚśŜŝŞşŠšȘșßſṠṡṢṣṤṥṦṧṨṩ"),
    ('T', "ŢţŤťȚțṪṫṬṭṮṯṰṱẗ"),
    ('U', "ÙÚÛÜùúûüŨũŪūŬŭŮůŰűŲųƯưǓǔǕǖǗǘǙǚǛǜȔȕȖȗṲṳṴṵṶṷṸṹṺṻỤụỦủỨứỪừỬửỮữỰự"),
    ('V', "ṼṽṾṿ"),
    ('W', "ŴŵẀẁẂẃẄẅẆẇẈẉẘ"),
    ('X', "ẊẋẌẍ"),
    ('Y', "ÝýÿŶŷŸȲȳẎẏỲỳỴỵỶỷỸỹẙ"),
    ('Z', "ŹźŻżŽžẐẑẒẓẔẕ"),
    ('Α', "ΆάἀἁἂἃἄἅἆἇἈἉὰάᾰᾱᾶᾸᾹᾺΆ"),
    ('Ε', "ΈέἐἑἒἓἔἕἘἙὲέῈΈ"),
    ('Η', "ΉήἠἡἢἣἤἥἦἧἨἩὴήῆῊΉ"),
    ('Ι', "ΊίϊΐΪἰἱἲἳἴἵἶἷἸἹὶίῐῑῖῘῙῚΊ"),
    ('Ο', "ΌόὀὁὂὃὄὅὈὉὸόῸΌ"),
    ('Υ', "ΎύϋΰΫὐὑὒὓὔὕὖὗὙὺύῠῡῦῨῩῪΎ"),
    ('Ω', "ΏώὠὡὢὣὤὥὦὧὨὩὼώῶῺΏ"),
    ('Σ', "ς"),
    ('А', "ӐӑӒӓ"),
    ('Е', "ЀѐЁёӖӗ"),
    ('Ж', "ӁӂӜӝ"),
    ('З', "Ӟӟ"),
    ('И', "ЍѝЙйӢӣӤӥ"),
    ('О', "Ӧӧ"),
    ('У', "ЎўӮӯӰӱӲӳ"),
    ('Ч', "Ӵӵ"),
    ('Ы', "Ӹӹ"),
    ('Э', "Ӭӭ"),
    ('Г', "Ѓѓ"),
    ('К', "Ќќ"),
    ('І', "Її"),
];

fn folds() -> &'static HashMap<char, char> {
    static FOLDS: OnceLock<HashMap<char, char>> = OnceLock::new();
    FOLDS.get_or_init(|| {
        FOLDED.iter().flat_map(|&(base, marked)| marked.chars().map(move |c| (c, base))).collect()
    })
}

/// The weight of a character under general_ci.
fn weight(c: char) -> u32 {
    if c.is_ascii() {
        return u32::from(c.to_ascii_uppercase());
    }
    if let Some(&base) = folds().get(&c) {
        return u32::from(base);
    }
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => u32::from(single),
        _ => u32::from(c),
    }
}

/// Compares under general_ci with PAD SPACE.
#[must_use]
pub fn compare_ci(a: &str, b: &str) -> Ordering {
    compare_by(a, b, weight)
}

/// Compares code points with PAD SPACE.
#[must_use]
pub fn compare_bin(a: &str, b: &str) -> Ordering {
    compare_by(a, b, u32::from)
}

/// Compares under the collation.
#[must_use]
pub fn compare(collation: Collation, a: &str, b: &str) -> Ordering {
    match collation {
        Collation::GeneralCi => compare_ci(a, b),
        Collation::Bin => compare_bin(a, b),
    }
}

fn compare_by(a: &str, b: &str, weight: impl Fn(char) -> u32) -> Ordering {
    let (mut left, mut right) = (a.chars(), b.chars());
    loop {
        let (x, y) = (left.next(), right.next());
        if x.is_none() && y.is_none() {
            return Ordering::Equal;
        }
        match weight(x.unwrap_or(' ')).cmp(&weight(y.unwrap_or(' '))) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
}

/// Registers all collations with a connection.
pub fn register(conn: &rusqlite::Connection) -> rusqlite::Result<()> {
    conn.create_collation("utf8mb4_general_ci", compare_ci)?;
    conn.create_collation("utf8mb4_bin", compare_bin)?;
    conn.create_collation("decimal", decimal::compare_text)?;
    conn.create_collation("time", temporal::compare_time_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_and_trailing_spaces_do_not_matter_under_general_ci() {
        for (a, b) in
            [("Straße", "strase"), ("ÉCLAIR", "eclair"), ("abc  ", "ABC"), ("Ёж", "еж"), ("Άλφα", "αλφα")]
        {
            assert_eq!(compare_ci(a, b), Ordering::Equal, "{a} {b}");
        }
        assert_eq!(compare_ci("a", "b"), Ordering::Less);
        assert_eq!(compare_ci("a\t", "a"), Ordering::Less);
        assert_ne!(compare_ci("😀", "😁"), Ordering::Equal);
    }

    #[test]
    fn code_points_decide_under_bin() {
        assert_eq!(compare_bin("a", "A"), Ordering::Greater);
        assert_eq!(compare_bin("a ", "a"), Ordering::Equal);
    }

    #[test]
    fn names_of_mysql_are_known() {
        assert_eq!(Collation::of_name("utf8mb4_0900_ai_ci"), Some(Collation::GeneralCi));
        assert_eq!(Collation::of_name("latin1_bin"), Some(Collation::Bin));
        assert_eq!(Collation::of_name("klingon_ci"), None);
    }
}
