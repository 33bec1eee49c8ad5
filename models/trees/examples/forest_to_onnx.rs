//! Turns a LightGBM text model or an ONNX forest into the ONNX form that this crate writes; `forest_to_onnx IN OUT`.

use std::error::Error;
use std::path::Path;

use dhow_trees::formats::{lightgbm, onnx};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("two files are needed: IN (.txt or .onnx) and OUT".into());
    };
    let bytes = std::fs::read(from)?;
    let is_onnx = Path::new(from).extension().is_some_and(|extension| extension == "onnx");
    let forest = if is_onnx { onnx::import(&bytes)? } else { lightgbm::import(std::str::from_utf8(&bytes)?)? };
    std::fs::write(to, onnx::export(&forest)?)?;
    Ok(())
}
