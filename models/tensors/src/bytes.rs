//! Elements as bytes, in the order that wires use: little endian, byte strings with their length before them; no shapes.

use half::f16;

use crate::tensor::{ElementType, TensorData};

/// The longest byte string, in bytes: its length stands in 32 bits.
pub const MAX_BYTES_ELEMENT: usize = u32::MAX as usize;

/// Bytes that are not the elements they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// More or fewer bytes than whole elements have.
    #[error("{found} bytes are no whole elements of {element_type}, which have {size} bytes each")]
    NotWhole {
        /// The elements' type.
        element_type: ElementType,
        /// The bytes of one.
        size: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// A truth value that is neither 0 nor 1.
    #[error("byte {at} is {found}; a truth value is 0 or 1")]
    NotBool {
        /// Its place, from 0.
        at: usize,
        /// What it is.
        found: u8,
    },
    /// A byte string that ends before its length, or a length that is cut.
    #[error("byte string {index} is cut: its length or its bytes are not all there")]
    Cut {
        /// Its place, from 0.
        index: usize,
    },
}

impl ElementType {
    /// The bytes of one element; nothing for byte strings, which have lengths of their own.
    pub const fn size(self) -> Option<usize> {
        match self {
            Self::I8 | Self::U8 | Self::Bool => Some(1),
            Self::F16 | Self::I16 | Self::U16 => Some(2),
            Self::F32 | Self::I32 | Self::U32 => Some(4),
            Self::F64 | Self::I64 | Self::U64 => Some(8),
            Self::Bytes => None,
        }
    }
}

/// Numbers of `N` bytes each.
fn numbers<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (whole, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| whole.iter().map(|one| read(*one)).collect())
}

impl TensorData {
    /// Reads elements: numbers in little endian, truth values as bytes of 0 and 1, byte strings after their length in 32 bits.
    ///
    /// # Errors
    /// [`BytesError`]: bytes that are no such elements.
    pub fn from_bytes(element_type: ElementType, bytes: &[u8]) -> Result<Self, BytesError> {
        let read = match element_type {
            ElementType::F16 => numbers(bytes, f16::from_le_bytes).map(TensorData::F16),
            ElementType::F32 => numbers(bytes, f32::from_le_bytes).map(TensorData::F32),
            ElementType::F64 => numbers(bytes, f64::from_le_bytes).map(TensorData::F64),
            ElementType::I64 => numbers(bytes, i64::from_le_bytes).map(TensorData::I64),
            ElementType::I32 => numbers(bytes, i32::from_le_bytes).map(TensorData::I32),
            ElementType::I16 => numbers(bytes, i16::from_le_bytes).map(TensorData::I16),
            ElementType::I8 => numbers(bytes, i8::from_le_bytes).map(TensorData::I8),
            ElementType::U64 => numbers(bytes, u64::from_le_bytes).map(TensorData::U64),
            ElementType::U32 => numbers(bytes, u32::from_le_bytes).map(TensorData::U32),
            ElementType::U16 => numbers(bytes, u16::from_le_bytes).map(TensorData::U16),
            ElementType::U8 => Some(TensorData::U8(bytes.to_vec())),
            ElementType::Bool => return truth_values(bytes).map(TensorData::Bool),
            ElementType::Bytes => return byte_strings(bytes).map(TensorData::Bytes),
        };
        let size = element_type.size().unwrap_or(1);
        read.ok_or(BytesError::NotWhole { element_type, size, found: bytes.len() })
    }

    /// Appends the elements to `out` as [`from_bytes`](Self::from_bytes) reads them. Byte strings longer than
    /// [`MAX_BYTES_ELEMENT`] do not exist in messages of bounded size.
    pub fn write_bytes(&self, out: &mut Vec<u8>) {
        match self {
            TensorData::F16(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::F32(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::F64(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::I64(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::I32(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::I16(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::I8(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::U64(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::U32(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::U16(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            TensorData::U8(values) => out.extend_from_slice(values),
            TensorData::Bool(values) => out.extend(values.iter().map(|&value| u8::from(value))),
            TensorData::Bytes(values) => {
                for value in values {
                    out.extend((value.len() as u32).to_le_bytes());
                    out.extend_from_slice(value);
                }
            }
        }
    }
}

fn truth_values(bytes: &[u8]) -> Result<Vec<bool>, BytesError> {
    let value = |(at, &found): (usize, &u8)| match found {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BytesError::NotBool { at, found }),
    };
    bytes.iter().enumerate().map(value).collect()
}

fn byte_strings(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, BytesError> {
    let mut strings = Vec::new();
    while !bytes.is_empty() {
        let cut = BytesError::Cut { index: strings.len() };
        let (length, rest) = bytes.split_first_chunk().ok_or_else(|| cut.clone())?;
        let (string, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(cut)?;
        strings.push(string.to_vec());
        bytes = rest;
    }
    Ok(strings)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Tensor, TensorData};

    proptest! {
        #[test]
        fn bytes_of_any_type_are_read_back_or_refused(bytes: Vec<u8>) {
            for &element_type in ElementType::ALL {
                if let Ok(read) = TensorData::from_bytes(element_type, &bytes) {
                    let mut written = Vec::new();
                    read.write_bytes(&mut written);
                    prop_assert_eq!(&written, &bytes, "{}", element_type);
                }
            }
        }

        #[test]
        fn rows_that_were_joined_come_apart_as_they_were(sizes in prop::collection::vec(0usize..4, 1..5), width in 0usize..3) {
            let part = |(index, rows): (usize, &usize)| {
                let values = (0..rows * width).map(|value| vec![index as u8, value as u8]).collect();
                Tensor::new(vec![*rows, width], TensorData::Bytes(values)).unwrap()
            };
            let parts: Vec<Tensor> = sizes.iter().enumerate().map(part).collect();
            let joined = Tensor::join(&parts.iter().collect::<Vec<_>>()).unwrap();
            let mut begin = 0;
            for part in &parts {
                let rows = part.shape()[0];
                prop_assert_eq!(joined.rows_from(begin, rows), Some(part.clone()));
                begin += rows;
            }
            prop_assert_eq!(joined.rows_from(begin, 1), None);
        }
    }

    #[test]
    fn tensors_of_other_types_or_widths_are_not_joined() {
        let tensor = |shape: &[usize], data| Tensor::new(shape.to_vec(), data).unwrap();
        let one = tensor(&[1, 2], TensorData::U8(vec![1, 2]));
        for other in [tensor(&[2, 1], TensorData::U8(vec![1, 2])), tensor(&[1, 2], TensorData::I8(vec![1, 2]))] {
            assert_eq!(Tensor::join(&[&one, &other]), None);
        }
        assert_eq!(Tensor::join(&[&tensor(&[], TensorData::U8(vec![1]))]), None);
    }
}
