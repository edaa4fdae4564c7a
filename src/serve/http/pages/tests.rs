use super::frame::{count, length, part};

#[test]
fn numbers_and_times_read_as_people_write_them() {
    assert_eq!(["0", "999", "1,000", "1,234,567"], [0, 999, 1_000, 1_234_567].map(count));
    assert_eq!(["59 s", "1 min 0 s", "2 h 5 min", "1 d 0 h"], [59, 60, 7_500, 86_400].map(length));
}

#[test]
fn any_name_is_one_part_of_a_path() {
    assert_eq!(part("shop.orders"), "shop.orders");
    assert_eq!(part("a/b c?ä\""), "a%2Fb%20c%3F%C3%A4%22");
}
