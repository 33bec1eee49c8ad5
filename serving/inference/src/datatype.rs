//! The protocol's names of element types, in requests and in configurations; no bytes.

use dhow_tensors::ElementType;

/// The protocol's name, its name in configurations and that name's number.
const NAMES: [(ElementType, &str, &str, i32); 13] = [
    (ElementType::Bool, "BOOL", "TYPE_BOOL", 1),
    (ElementType::U8, "UINT8", "TYPE_UINT8", 2),
    (ElementType::U16, "UINT16", "TYPE_UINT16", 3),
    (ElementType::U32, "UINT32", "TYPE_UINT32", 4),
    (ElementType::U64, "UINT64", "TYPE_UINT64", 5),
    (ElementType::I8, "INT8", "TYPE_INT8", 6),
    (ElementType::I16, "INT16", "TYPE_INT16", 7),
    (ElementType::I32, "INT32", "TYPE_INT32", 8),
    (ElementType::I64, "INT64", "TYPE_INT64", 9),
    (ElementType::F16, "FP16", "TYPE_FP16", 10),
    (ElementType::F32, "FP32", "TYPE_FP32", 11),
    (ElementType::F64, "FP64", "TYPE_FP64", 12),
    (ElementType::Bytes, "BYTES", "TYPE_STRING", 13),
];

fn names(element_type: ElementType) -> (&'static str, &'static str, i32) {
    let found = NAMES.iter().find(|(known, ..)| *known == element_type);
    // Every type stands in the list, which a test holds against `ElementType::ALL`.
    found.map_or(("", "TYPE_INVALID", 0), |(_, word, config, number)| (word, config, *number))
}

/// The name in requests and answers, such as `FP32`.
pub(crate) fn word(element_type: ElementType) -> &'static str {
    names(element_type).0
}

/// The name in configurations, such as `TYPE_FP32`.
pub(crate) fn config_word(element_type: ElementType) -> &'static str {
    names(element_type).1
}

/// The number of that name.
pub(crate) fn config_number(element_type: ElementType) -> i32 {
    names(element_type).2
}

/// The type of a name in a request; `BF16` is a name that no model here has an element of.
pub(crate) fn from_word(word: &str) -> Option<ElementType> {
    NAMES.iter().find(|(_, known, ..)| *known == word).map(|(element_type, ..)| *element_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_has_a_name_of_its_own() {
        for &element_type in ElementType::ALL {
            assert_eq!(from_word(word(element_type)), Some(element_type));
            assert!(config_number(element_type) > 0);
        }
        assert_eq!(from_word("BF16"), None);
    }
}
