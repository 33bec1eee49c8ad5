//! How texts become words.

use dhow_search::text::{fold, indexed_words, queried_words};

fn stems(text: &str) -> Vec<String> {
    queried_words(text).into_iter().map(|word| word.stem).collect()
}

#[test]
fn case_accents_and_wide_letters_are_folded_and_signs_that_belong_to_a_word_are_not() {
    assert_eq!(fold("CAFÉ Ｆｕｌｌ Straße Øre İ"), "cafe full strasse ore i");
    assert_eq!(stems("über ŁÓDŹ"), ["uber", "lodz"]);
    // A vowel sign of Devanagari and the marks of kana make other words of them.
    assert_eq!(stems("हिन्दी"), ["हिन्दी"]);
    assert_ne!(fold("が"), fold("か"));
}

#[test]
fn compounds_units_and_plurals_are_found_in_either_spelling() {
    assert_eq!(stems("blu-ray"), ["blu", "ray", "bluray"]);
    assert_eq!(stems("16GB card"), ["16gb", "16", "gb", "card"]);
    assert_eq!(stems("7.2 megapixel"), ["7.2", "megapixel"]);
    assert_eq!(stems("men's"), ["men"]);
    for (one, many) in
        [("dish", "dishes"), ("battery", "batteries"), ("box", "boxes"), ("toy", "toys"), ("mug", "mugs")]
    {
        assert_eq!(stems(one), stems(many), "{one} {many}");
    }
    assert_ne!(stems("glass"), stems("glas"));
}

#[test]
fn scripts_without_spaces_come_in_pairs_and_products_also_in_single_characters() {
    assert_eq!(stems("緑茶葉"), ["緑茶", "茶葉"]);
    assert_eq!(stems("茶"), ["茶"]);
    let indexed: Vec<String> = indexed_words("緑茶").into_iter().map(|word| word.stem).collect();
    assert_eq!(indexed, ["緑", "茶", "緑茶"]);
    assert_eq!(stems("iPhone用ケース"), ["iphone", "用ケ", "ケー", "ース"]);
    assert_eq!(stems("ชาเขียว").len(), 5, "Thai goes by the characters that people see");
}
