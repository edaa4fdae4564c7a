//! What can be said of the orders without a server; `node/tests/collation.rs` compares them with one.

use super::*;

/// FNV-1a over all weights of the basic plane and one point beyond it.
fn checksum(collation: Collation) -> u64 {
    let points = (0..=0x1_F600).filter_map(char::from_u32);
    points.flat_map(|c| weigh(collation, &c.to_string()).into_iter().chain([u32::MAX])).fold(
        0xcbf2_9ce4_8422_2325,
        |sum, weight| {
            weight
                .to_le_bytes()
                .iter()
                .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
        },
    )
}

/// Whoever changes an order has to raise the version with which files say how their indexes are sorted.
#[test]
fn the_orders_are_those_of_their_version() {
    let sums = [Collation::GeneralCi, Collation::UnicodeCi, Collation::Bin].map(checksum);
    assert_eq!((VERSION, sums), (1, [0xb187_0098_a410_c7d4, 0xc547_e102_40fa_3afa, 0xe67a_12f2_4a06_2536]));
}

#[test]
fn case_and_accents_and_trailing_spaces_do_not_matter_under_general_ci() {
    for (a, b) in [
        ("Straße", "strase"),
        ("ÉCLAIR", "eclair"),
        ("abc  ", "ABC"),
        ("Ёж", "еж"),
        ("Άλφα", "αλφα"),
        ("σ", "ς"),
        ("😀", "😁"),
        ("😀", "\u{fffd}"),
        ("", "   "),
    ] {
        assert_eq!(compare_ci(a, b), Ordering::Equal, "{a} {b}");
    }
    assert_eq!(compare_ci("a", "b"), Ordering::Less);
    assert_eq!(compare_ci("a\t", "a"), Ordering::Less);
    assert_eq!(compare_ci("ss", "ß"), Ordering::Greater);
    assert_eq!(compare_ci("e\u{301}", "é"), Ordering::Greater, "a mark is a character of its own");
    assert_eq!(compare_ci("ａ", "Ａ"), Ordering::Equal, "full width");
    assert_ne!(compare_ci("ａ", "a"), Ordering::Equal);
}

#[test]
fn unicode_ci_expands_and_ignores() {
    for (a, b) in
        [("straße", "STRASSE"), ("e\u{301}", "É"), ("ａ", "A"), ("a\u{0}", "a"), ("ﬁ", "FI "), ("", "  ")]
    {
        assert_eq!(compare_unicode(a, b), Ordering::Equal, "{a} {b}");
    }
    assert_eq!(compare_unicode("a\t", "a"), Ordering::Less);
    assert_eq!(compare_unicode("b", "á"), Ordering::Greater);
}

#[test]
fn code_points_decide_under_bin() {
    assert_eq!(compare_bin("a", "A"), Ordering::Greater);
    assert_eq!(compare_bin("a ", "a"), Ordering::Equal);
    assert_eq!(compare_bin("a\t", "a"), Ordering::Less);
    assert_eq!(compare_bin("\u{ffff}", "😀"), Ordering::Less);
    assert_eq!(compare_bin("é", "è"), Ordering::Greater);
}

#[test]
fn an_order_is_the_order_of_the_weights() {
    // the shortcuts (equal beginnings, ASCII, bytes for code points) change nothing
    let texts = [
        "", "a", "A ", "á", "áb", "àb", "e\u{301}", "ß", "ss", "😀", "\u{7f}", "\u{80}", "a\u{0}", "ıi", "İ",
    ];
    for collation in [Collation::GeneralCi, Collation::UnicodeCi, Collation::Bin] {
        let space = weigh(collation, " ")[0];
        for a in texts {
            for b in texts {
                let by_weight =
                    padded(weigh(collation, a).into_iter(), weigh(collation, b).into_iter(), space);
                assert_eq!(compare(collation, a, b), by_weight, "{collation:?} {a:?} {b:?}");
            }
        }
    }
}
