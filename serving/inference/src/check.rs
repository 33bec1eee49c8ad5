//! Whether requests of a model may run together: a check at its load, byte for byte, on made-up rows; it serves nobody.

use dhow_tensors::{Dim, ElementType, NamedTensor, Signature, Tensor, TensorData, TensorSpec, f16};

use crate::model::Model;

/// Whether requests of a model run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batching {
    /// Up to so many rows run together: runs of every number of rows up to it gave each row the bytes that it gets alone.
    Rows(usize),
    /// Every request runs alone, for this reason.
    Alone(String),
}

impl Batching {
    /// The most rows that run together; 1 where every request runs alone.
    pub fn rows_max(&self) -> usize {
        if let Self::Rows(rows) = self { *rows } else { 1 }
    }
}

/// Decides whether requests of `model` may run together, up to `rows_max` rows: its first dimensions, and no others, must be
/// free, and on made-up rows every number of rows up to `rows_max` must give each row the bytes that it gets alone.
pub fn check_batching(model: &dyn Model, rows_max: usize) -> Batching {
    match rows_alike(model, rows_max) {
        Ok(()) => Batching::Rows(rows_max),
        Err(reason) => Batching::Alone(reason),
    }
}

fn rows_alike(model: &dyn Model, rows_max: usize) -> Result<(), String> {
    if rows_max < 2 {
        return Err("batching is turned off".to_owned());
    }
    only_rows_are_free(model.signature())?;
    model.takes_any_rows()?;
    let mut probes = made_up_rows(model.signature(), rows_max, Filling::Any)?;
    if run(model, &probes[0]).is_err() {
        // Whole numbers may be places in a table, which few of the made-up ones are.
        probes = made_up_rows(model.signature(), rows_max, Filling::Small)?;
    }
    let alone = probes.iter().map(|row| row_bytes(&run(model, row)?, 1));
    let alone: Vec<Vec<Vec<u8>>> = alone.collect::<Result<_, String>>()?;
    for rows in 2..=rows_max {
        // Each number of rows begins elsewhere, so that a row stands in many places.
        let places: Vec<usize> = (0..rows).map(|place| (place + rows) % rows_max).collect();
        let outputs = run(model, &join(&places.iter().map(|&place| &probes[place]).collect::<Vec<_>>())?)?;
        let together = row_bytes(&outputs, rows)?;
        if let Some(at) = (0..rows).find(|&at| together[at] != alone[places[at]][0]) {
            return Err(format!("row {at} of {rows} rows gets other bytes than alone"));
        }
    }
    Ok(())
}

/// Every first dimension is free and every other one fixed.
fn only_rows_are_free(signature: &Signature) -> Result<(), String> {
    for spec in signature.inputs.iter().chain(&signature.outputs) {
        match spec.dims.as_deref() {
            Some([Dim::Free(_), rest @ ..]) if rest.iter().all(|dim| matches!(dim, Dim::Fixed(_))) => {}
            Some([Dim::Free(_), ..]) => return Err(format!("`{}` has free dimensions beside its first", spec.name)),
            _ => return Err(format!("the first dimension of `{}` is not free", spec.name)),
        }
    }
    if signature.inputs.is_empty() { Err("it has no inputs".to_owned()) } else { Ok(()) }
}

fn run(model: &dyn Model, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, String> {
    model.run(inputs).map_err(|fault| format!("it does not run on made-up rows: {fault}"))
}

/// Each row of all outputs, as bytes.
fn row_bytes(outputs: &[NamedTensor], rows: usize) -> Result<Vec<Vec<u8>>, String> {
    let row = |at: usize| {
        let mut bytes = Vec::new();
        for output in outputs {
            let found = output.tensor.rows();
            let row = output.tensor.rows_from(at, 1).filter(|_| found == Some(rows));
            let row = row.ok_or_else(|| format!("`{}` has {found:?} rows for {rows}", output.name))?;
            row.data().write_bytes(&mut bytes);
        }
        Ok(bytes)
    };
    (0..rows).map(row).collect()
}

/// Inputs of several requests, one after the other along the rows.
pub(crate) fn join(requests: &[&Vec<NamedTensor>]) -> Result<Vec<NamedTensor>, String> {
    let Some(first) = requests.first() else { return Err("there is nothing to join".to_owned()) };
    let input = |place: usize| {
        let parts: Option<Vec<&Tensor>> = requests.iter().map(|inputs| Some(&inputs.get(place)?.tensor)).collect();
        let joined = parts.and_then(|parts| Tensor::join(&parts));
        let name = &first[place].name;
        joined.map(|joined| NamedTensor::new(name, joined)).ok_or_else(|| format!("input `{name}` cannot be joined"))
    };
    (0..first.len()).map(input).collect()
}

/// How made-up elements are chosen.
#[derive(Clone, Copy)]
enum Filling {
    Any,
    Small,
}

/// The most elements of one made-up row, over all inputs.
const ROW_ELEMENTS_MAX: usize = 1 << 22;

fn made_up_rows(signature: &Signature, count: usize, filling: Filling) -> Result<Vec<Vec<NamedTensor>>, String> {
    let mut bits = Bits(0x0d10_57ed);
    (0..count).map(|_| signature.inputs.iter().map(|spec| made_up(spec, filling, &mut bits)).collect()).collect()
}

fn made_up(spec: &TensorSpec, filling: Filling, bits: &mut Bits) -> Result<NamedTensor, String> {
    let dims = spec.dims.iter().flatten();
    let shape: Vec<usize> = dims.map(|dim| if let Dim::Fixed(length) = dim { *length } else { 1 }).collect();
    let elements = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    let elements = elements.filter(|&elements| elements <= ROW_ELEMENTS_MAX);
    let elements = elements.ok_or_else(|| format!("a row of `{}` is too large to make up", spec.name))?;
    let data = bits.elements(spec.element_type, elements, filling);
    let tensor = Tensor::new(shape, data).map_err(|error| error.to_string())?;
    Ok(NamedTensor::new(&spec.name, tensor))
}

/// Made-up numbers, the same at every load (SplitMix64: Steele, Lea and Flood 2014).
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From −4 to 4, with all 53 bits.
    fn float(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 50) as f64 - 4.0
    }

    fn whole(&mut self, filling: Filling) -> u64 {
        let bits = self.next();
        match filling {
            Filling::Any => bits,
            Filling::Small => bits & 1,
        }
    }

    fn elements(&mut self, element_type: ElementType, count: usize, filling: Filling) -> TensorData {
        let all = 0..count;
        match element_type {
            ElementType::F16 => TensorData::F16(all.map(|_| f16::from_f64(self.float())).collect()),
            ElementType::F32 => TensorData::F32(all.map(|_| self.float() as f32).collect()),
            ElementType::F64 => TensorData::F64(all.map(|_| self.float()).collect()),
            ElementType::I64 => TensorData::I64(all.map(|_| self.whole(filling) as i64).collect()),
            ElementType::I32 => TensorData::I32(all.map(|_| self.whole(filling) as i32).collect()),
            ElementType::I16 => TensorData::I16(all.map(|_| self.whole(filling) as i16).collect()),
            ElementType::I8 => TensorData::I8(all.map(|_| self.whole(filling) as i8).collect()),
            ElementType::U64 => TensorData::U64(all.map(|_| self.whole(filling)).collect()),
            ElementType::U32 => TensorData::U32(all.map(|_| self.whole(filling) as u32).collect()),
            ElementType::U16 => TensorData::U16(all.map(|_| self.whole(filling) as u16).collect()),
            ElementType::U8 => TensorData::U8(all.map(|_| self.whole(filling) as u8).collect()),
            ElementType::Bool => TensorData::Bool(all.map(|_| self.next() & 1 == 1).collect()),
            ElementType::Bytes => TensorData::Bytes(all.map(|_| format!("{:x}", self.next()).into_bytes()).collect()),
        }
    }
}
