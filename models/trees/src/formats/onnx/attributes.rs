//! The attributes of one ONNX operator by name; what they mean is the reader's.

use super::wire::{Attribute, Operator};
use crate::formats::FormatError;

/// An operator whose attributes are asked for by name.
pub struct Attributes<'a> {
    operator: &'a Operator,
}

impl<'a> Attributes<'a> {
    pub fn new(operator: &'a Operator) -> Self {
        Self { operator }
    }

    pub fn get(&self, name: &str) -> Option<&'a Attribute> {
        self.operator.attributes.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    /// The whole numbers of an attribute; empty where it is absent.
    pub fn ints(&self, name: &str) -> &'a [i64] {
        self.get(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// The whole numbers of an attribute that needs `length` of them.
    pub fn all_ints(&self, name: &str, length: usize) -> Result<&'a [i64], FormatError> {
        let values = self.ints(name);
        check_length(name, values.len(), length)?;
        Ok(values)
    }

    /// The numbers of an attribute, or of its twin `…_as_tensor`, which may hold doubles; empty where both are absent.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, FormatError> {
        let tensor = format!("{name}_as_tensor");
        match (self.get(name).map(|attribute| attribute.floats.as_slice()), self.get(&tensor)) {
            (Some(floats), None) => Ok(floats.iter().copied().map(f64::from).collect()),
            (None | Some([]), Some(_)) => self.tensor(&tensor),
            (None, None) => Ok(Vec::new()),
            (Some(_), Some(_)) => Err(FormatError::refused(format!("`{name}` and `{tensor}` exclude each other"))),
        }
    }

    /// The numbers of an attribute, as [`Attributes::numbers`], that needs `length` of them.
    pub fn all_numbers(&self, name: &str, length: usize) -> Result<Vec<f64>, FormatError> {
        let values = self.numbers(name)?;
        check_length(name, values.len(), length)?;
        Ok(values)
    }

    /// The values of an attribute that is a tensor; empty where it is absent.
    pub fn tensor(&self, name: &str) -> Result<Vec<f64>, FormatError> {
        let Some(tensor) = self.get(name).and_then(|attribute| attribute.tensor.as_ref()) else {
            return Ok(Vec::new());
        };
        tensor.values().ok_or_else(|| {
            let problem = format!(
                "tensor `{name}` has elements of type {:?}; floats, doubles and bytes are read",
                tensor.data_type
            );
            FormatError::refused(problem)
        })
    }

    /// A text; `otherwise` where it is absent.
    pub fn text<'b>(&self, name: &str, otherwise: &'b str) -> Result<&'b str, FormatError>
    where
        'a: 'b,
    {
        match self.get(name).and_then(|attribute| attribute.string.as_deref()) {
            None => Ok(otherwise),
            Some(bytes) => text(name, bytes),
        }
    }

    /// The texts of an attribute.
    pub fn texts(&self, name: &str) -> Result<Vec<&'a str>, FormatError> {
        let strings = self.get(name).map_or(&[][..], |attribute| &attribute.strings);
        strings.iter().map(|bytes| text(name, bytes)).collect()
    }

    /// A whole number; `otherwise` where it is absent.
    pub fn int(&self, name: &str, otherwise: i64) -> i64 {
        self.get(name).and_then(|attribute| attribute.int).unwrap_or(otherwise)
    }
}

fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, FormatError> {
    std::str::from_utf8(bytes).map_err(|_| FormatError::refused(format!("`{name}` holds text that is not UTF-8")))
}

fn check_length(name: &str, length: usize, needed: usize) -> Result<(), FormatError> {
    if length == needed {
        Ok(())
    } else {
        Err(FormatError::refused(format!("`{name}` has {length} values where {needed} are needed")))
    }
}
