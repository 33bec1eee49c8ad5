//! The ONNX runtime on graphs that the tests write themselves.

use dhow_registry::{Dim, NamedTensor, OnnxError, OnnxModel, Tensor, TensorData};
use proptest::prelude::*;

use crate::protobuf::{F32, I64, Message, floats, linear, model, node, value, value_without_shape};

const WEIGHTS: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
const BIAS: [f32; 2] = [0.5, -0.5];

fn f32_input(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
    NamedTensor::new(name, Tensor::new(shape.to_vec(), TensorData::F32(values.to_vec())).unwrap())
}

fn first_f32(outputs: &[NamedTensor]) -> (&[usize], &[f32]) {
    (outputs[0].tensor.shape(), outputs[0].tensor.as_f32().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_linear_model_gives_what_the_formula_says_for_any_batch(
        weights: [i8; 6], bias: [i8; 2], rows in prop::collection::vec(any::<[i8; 3]>(), 1..20)
    ) {
        // Small whole numbers are exact in 32-bit floating point, whatever the order of the sums.
        let weights = weights.map(f32::from);
        let bias = bias.map(f32::from);
        let model = OnnxModel::from_bytes(&linear(&weights, &bias)).unwrap();
        let x: Vec<f32> = rows.iter().flatten().copied().map(f32::from).collect();
        let outputs = model.run(&[f32_input("x", &[rows.len(), 3], &x)]).unwrap();
        let expected: Vec<f32> = x
            .chunks(3)
            .flat_map(|row| [0, 1].map(|j| (0..3).map(|i| row[i] * weights[2 * i + j]).sum::<f32>() + bias[j]))
            .collect();
        prop_assert_eq!(&outputs[0].name, "y");
        prop_assert_eq!(first_f32(&outputs), (&[rows.len(), 2][..], &expected[..]));
    }
}

#[test]
fn missing_values_are_replaced_where_a_graph_says_so() {
    let missing = vec![node("IsNaN", &["x"], "missing"), node("Where", &["missing", "mean", "x"], "y")];
    let bytes = model(
        missing,
        vec![floats("mean", &[2], &[7.0, 8.0])],
        vec![value("x", F32, &["rows", "2"])],
        vec![value("y", F32, &["rows", "2"])],
    );
    let filled = OnnxModel::from_bytes(&bytes).unwrap();
    let x = [f32::NAN, 1.0, 2.0, f32::NAN, f32::INFINITY, -0.0];
    let outputs = filled.run(&[f32_input("x", &[3, 2], &x)]).unwrap();
    assert_eq!(first_f32(&outputs), (&[3, 2][..], &[7.0, 1.0, 2.0, 8.0, f32::INFINITY, -0.0][..]));
}

#[test]
fn the_signature_tells_names_types_and_free_dimensions() {
    let model = OnnxModel::from_bytes(&linear(&WEIGHTS, &BIAS)).unwrap();
    let signature = model.signature();
    assert_eq!(signature.inputs.len(), 1, "constants are no inputs");
    assert_eq!(signature.inputs[0].to_string(), "x: f32[batch, 3]");
    assert_eq!(signature.outputs[0].dims, Some(vec![Dim::Free("batch".to_owned()), Dim::Fixed(2)]));
}

#[test]
fn a_graph_whose_shapes_resolve_only_when_known_runs_with_every_shape() {
    // That `m × n` elements fill a table of 3 × 4 has no proof while `m` and `n` are symbols.
    let bytes = model(
        vec![node("Reshape", &["x", "table"], "square"), node("MatMul", &["square", "w"], "y")],
        vec![constant_i64("table", &[3, 4]), floats("w", &[4, 1], &[1.0, 10.0, 100.0, 1000.0])],
        vec![value("x", F32, &["m", "n"])],
        vec![value("y", F32, &["3", "1"])],
    );
    let table = OnnxModel::from_bytes(&bytes).unwrap();
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 2.0, 3.0];
    // Six shapes are more than the plans that are kept, and the first come again after they were dropped.
    for rows in [1, 2, 3, 4, 6, 12, 1, 1, 2, 12] {
        let outputs = table.run(&[f32_input("x", &[rows, 12 / rows], &x)]).unwrap();
        assert_eq!(first_f32(&outputs), (&[3, 1][..], &[4321.0, 8765.0, 3219.0][..]));
    }
    let refused = table.run(&[f32_input("x", &[1, 5], &[0.0; 5])]);
    assert!(matches!(refused, Err(OnnxError::BadGraph(_) | OnnxError::Run(_))), "{refused:?}");
}

#[test]
fn a_free_dimension_may_be_one_and_is_then_broadcast() {
    let bytes = model(
        vec![node("Add", &["x", "c"], "y")],
        vec![floats("c", &[4], &[1.0, 2.0, 3.0, 4.0])],
        vec![value("x", F32, &["", "n"])],
        vec![value("y", F32, &["", "4"])],
    );
    let broadcast = OnnxModel::from_bytes(&bytes).unwrap();
    for (rows, columns) in [(1, 1), (1, 4), (3, 1), (3, 4)] {
        let outputs = broadcast.run(&[f32_input("x", &[rows, columns], &vec![10.0; rows * columns])]).unwrap();
        assert_eq!(first_f32(&outputs), (&[rows, 4][..], &[11.0, 12.0, 13.0, 14.0].repeat(rows)[..]));
    }
}

#[test]
fn a_convolution_runs_with_any_batch() {
    let bytes = model(
        vec![node("Conv", &["x", "kernel"], "y")],
        vec![floats("kernel", &[1, 1, 2], &[1.0, 10.0])],
        vec![value("x", F32, &["batch", "1", "3"])],
        vec![value("y", F32, &["batch", "1", "2"])],
    );
    let convolution = OnnxModel::from_bytes(&bytes).unwrap();
    for batch in [1, 2, 7] {
        let outputs = convolution.run(&[f32_input("x", &[batch, 1, 3], &[1.0, 2.0, 3.0].repeat(batch))]).unwrap();
        assert_eq!(first_f32(&outputs), (&[batch, 1, 2][..], &[21.0, 32.0].repeat(batch)[..]));
    }
}

fn constant_i64(name: &str, values: &[i64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    crate::protobuf::constant(name, I64, &[values.len() as u64], &raw)
}

#[test]
fn what_is_not_onnx_is_refused_as_such() {
    for bytes in [&b""[..], b"{\"model\": 1}", b"PK\x03\x04", b"\x00\x00\x00\x00", &[0xff; 64]] {
        let refused = OnnxModel::from_bytes(bytes);
        assert!(matches!(refused, Err(OnnxError::NotOnnx(_))), "{bytes:?} gave {refused:?}");
    }
}

#[test]
fn a_cut_or_changed_file_gives_an_error_or_a_model_but_never_a_panic() {
    let whole = linear(&WEIGHTS, &BIAS);
    for length in 0..whole.len() {
        let _: Result<_, OnnxError> = OnnxModel::from_bytes(&whole[..length]);
    }
    for position in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[position] ^= flip;
            if let Ok(model) = OnnxModel::from_bytes(&changed) {
                let _: Result<_, OnnxError> = model.run(&[f32_input("x", &[1, 3], &[1.0, 2.0, 3.0])]);
            }
        }
    }
}

#[test]
fn each_flaw_of_a_graph_has_its_own_error() {
    let x = || vec![value("x", F32, &["batch", "3"])];
    let y = || vec![value("y", F32, &["batch", "3"])];
    let error = |bytes: Vec<u8>| OnnxModel::from_bytes(&bytes).unwrap_err();

    let unknown = node("FancyAttention", &["x"], "y").text(7, "com.example");
    let refused = error(model(vec![unknown], vec![], x(), y()));
    assert!(matches!(&refused, OnnxError::UnsupportedOperators(list) if list == "FancyAttention (com.example)"));

    let shapeless = vec![value_without_shape("x", F32)];
    let refused = error(model(vec![node("Relu", &["x"], "y")], vec![], shapeless, y()));
    assert!(matches!(&refused, OnnxError::MissingInputShape(name) if name == "x"));

    let complex = vec![value("x", 14, &["batch"])];
    let refused = error(model(vec![node("Relu", &["x"], "y")], vec![], complex, y()));
    assert!(matches!(&refused, OnnxError::UnsupportedElementType { name, .. } if name == "x"));

    let elsewhere = Message::new().number(1, 3).number(2, F32).text(8, "w").number(14, 1);
    let refused = error(model(vec![node("Add", &["x", "w"], "y")], vec![elsewhere], x(), y()));
    assert!(matches!(&refused, OnnxError::ExternalData(name) if name == "w"));

    let refused = error(model(vec![node("Relu", &["x"], "z")], vec![], x(), y()));
    assert!(matches!(&refused, OnnxError::BadGraph(what) if what.contains("`y`")));

    let refused = error(model(vec![node("Add", &["x", "missing"], "y")], vec![], x(), y()));
    assert!(matches!(&refused, OnnxError::BadGraph(what) if what.contains("missing")), "{refused}");
}

#[test]
fn inputs_that_do_not_fit_are_refused_with_what_would() {
    let bytes = model(
        vec![node("Add", &["a", "b"], "y")],
        vec![],
        vec![value("a", F32, &["n", "2"]), value("b", F32, &["n", "2"])],
        vec![value("y", F32, &["n", "2"])],
    );
    let model = OnnxModel::from_bytes(&bytes).unwrap();
    let a = || f32_input("a", &[1, 2], &[1.0, 2.0]);
    let b = || f32_input("b", &[1, 2], &[3.0, 4.0]);
    let refusal = |inputs: &[NamedTensor]| match model.run(inputs) {
        Err(OnnxError::BadInput(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(model.run(&[b(), a()]).unwrap()[0].tensor.as_f32(), Some(&[4.0, 6.0][..]), "any order");
    assert!(refusal(&[a()]).contains("b: f32[n, 2] must be given once"));
    assert!(refusal(&[a(), a(), b()]).contains("a: f32[n, 2] must be given once"));
    assert!(refusal(&[a(), b(), f32_input("c", &[1], &[0.0])]).contains("`c` is no input; there are a: f32[n, 2]"));
    assert!(refusal(&[a(), f32_input("b", &[1, 3], &[0.0; 3])]).contains("given as f32[1, 3]"));
    assert!(refusal(&[a(), f32_input("b", &[2], &[0.0; 2])]).contains("given as f32[2]"));
    assert!(refusal(&[a(), f32_input("b", &[0, 2], &[])]).contains("given as f32[0, 2]"));
    assert!(refusal(&[a(), f32_input("b", &[2, 2], &[0.0; 4])]).contains("`n` is 1 in an input before"));
    let whole = NamedTensor::new("b", Tensor::new(vec![1, 2], TensorData::I64(vec![0, 0])).unwrap());
    assert!(refusal(&[a(), whole]).contains("given as i64[1, 2]"));
    assert!(Tensor::new(vec![2, usize::MAX], TensorData::F32(vec![0.0])).is_err(), "a shape beyond all memory");
}
