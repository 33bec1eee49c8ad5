//! What an ONNX file says about itself before anything is run: is it one, can it be run, what goes in and out.

use std::collections::{BTreeSet, HashSet};

use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimValue;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::Framework;

use crate::onnx::OnnxError;
use dhow_tensors::{Dim, ElementType, Signature, TensorSpec};

/// How deep graphs may lie inside the operators of graphs.
const MAX_GRAPH_DEPTH: usize = 16;

/// Reads the protobuf message.
pub(crate) fn decode(bytes: &[u8]) -> Result<ModelProto, OnnxError> {
    let proto = tract_onnx::onnx()
        .proto_model_for_read(&mut &bytes[..])
        .map_err(|error| OnnxError::NotOnnx(format!("{error:#}")))?;
    // Any short run of bytes can be a protobuf message of unknown fields; a model has a graph with an output.
    match &proto.graph {
        Some(graph) if !graph.output.is_empty() => Ok(proto),
        Some(_) => Err(OnnxError::NotOnnx("its graph has no output".to_owned())),
        None => Err(OnnxError::NotOnnx("it holds no graph".to_owned())),
    }
}

/// Refuses what the runtime would refuse later in its own words, or not at all.
pub(crate) fn check_graph(proto: &ModelProto) -> Result<(), OnnxError> {
    let known = tract_onnx::onnx().op_register;
    let mut unsupported = BTreeSet::new();
    let mut pending: Vec<(&GraphProto, usize)> = proto.graph.iter().map(|graph| (graph, 0)).collect();
    while let Some((graph, depth)) = pending.pop() {
        if let Some(tensor) = graph.initializer.iter().find(|tensor| is_external(tensor)) {
            return Err(OnnxError::ExternalData(tensor.name.clone()));
        }
        for node in &graph.node {
            if !known.0.contains_key(&node.op_type) {
                let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
                unsupported.insert(format!("{} ({domain})", node.op_type));
            }
            for attribute in &node.attribute {
                if let Some(tensor) = attribute.t.iter().chain(&attribute.tensors).find(|tensor| is_external(tensor)) {
                    return Err(OnnxError::ExternalData(format!("{}.{}", node.name, tensor.name)));
                }
                pending.extend(attribute.g.iter().chain(&attribute.graphs).map(|inner| (inner, depth + 1)));
            }
        }
        if depth > MAX_GRAPH_DEPTH {
            return Err(OnnxError::BadGraph(format!("graphs lie more than {MAX_GRAPH_DEPTH} deep inside each other")));
        }
    }
    if unsupported.is_empty() {
        proto.graph.as_ref().map_or(Ok(()), check_outputs)
    } else {
        Err(OnnxError::UnsupportedOperators(unsupported.into_iter().collect::<Vec<_>>().join(", ")))
    }
}

fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

/// Whether the outermost graph holds a tree ensemble.
pub(crate) fn has_trees(proto: &ModelProto) -> bool {
    let mut nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    nodes.any(|node| node.domain == "ai.onnx.ml" && node.op_type.starts_with("TreeEnsemble"))
}

/// Whether the outermost graph holds a convolution.
pub(crate) fn has_convolution(proto: &ModelProto) -> bool {
    proto.graph.iter().flat_map(|graph| &graph.node).any(|node| node.op_type.contains("Conv"))
}

/// Every output must be computed by a node, given as a constant or passed through from an input.
fn check_outputs(graph: &GraphProto) -> Result<(), OnnxError> {
    let computed = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str));
    let constant = graph.initializer.iter().map(|tensor| tensor.name.as_str());
    let given = graph.input.iter().map(|input| input.name.as_str());
    let made: HashSet<&str> = computed.chain(constant).chain(given).collect();
    match graph.output.iter().find(|output| !made.contains(output.name.as_str())) {
        Some(output) => Err(OnnxError::BadGraph(format!("nothing computes its output `{}`", output.name))),
        None => Ok(()),
    }
}

/// The inputs that a caller must give (constants excepted) and the outputs.
pub(crate) fn signature_of(proto: &ModelProto) -> Result<Signature, OnnxError> {
    let Some(graph) = &proto.graph else { return Ok(Signature { inputs: vec![], outputs: vec![] }) };
    let inputs = given_inputs(graph).map(spec_of).collect::<Result<Vec<_>, _>>()?;
    if let Some(input) = inputs.iter().find(|spec| spec.dims.is_none()) {
        return Err(OnnxError::MissingInputShape(input.name.clone()));
    }
    let outputs = graph.output.iter().map(spec_of).collect::<Result<Vec<_>, _>>()?;
    Ok(Signature { inputs, outputs })
}

fn given_inputs(graph: &GraphProto) -> impl Iterator<Item = &ValueInfoProto> {
    let constants: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    graph.input.iter().filter(move |input| !constants.contains(input.name.as_str()))
}

fn spec_of(info: &ValueInfoProto) -> Result<TensorSpec, OnnxError> {
    let unsupported =
        |element_type: String| OnnxError::UnsupportedElementType { name: info.name.clone(), element_type };
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|outer| outer.value.as_ref())
    else {
        return Err(unsupported("unknown (no tensor)".to_owned()));
    };
    let element_type = match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Float16) => ElementType::F16,
        Ok(DataType::Float) => ElementType::F32,
        Ok(DataType::Double) => ElementType::F64,
        Ok(DataType::Int64) => ElementType::I64,
        Ok(DataType::Int32) => ElementType::I32,
        Ok(DataType::Int16) => ElementType::I16,
        Ok(DataType::Int8) => ElementType::I8,
        Ok(DataType::Uint64) => ElementType::U64,
        Ok(DataType::Uint32) => ElementType::U32,
        Ok(DataType::Uint16) => ElementType::U16,
        Ok(DataType::Uint8) => ElementType::U8,
        Ok(DataType::Bool) => ElementType::Bool,
        Ok(DataType::String) => ElementType::Bytes,
        Ok(other) => return Err(unsupported(format!("{other:?}"))),
        Err(_) => return Err(unsupported(format!("number {}", tensor.elem_type))),
    };
    let dims = tensor.shape.as_ref().map(dims_of);
    Ok(TensorSpec { name: info.name.clone(), element_type, dims })
}

fn dims_of(shape: &TensorShapeProto) -> Vec<Dim> {
    let dim_of = |value: &Option<DimValue>| match value {
        Some(DimValue::DimValue(length)) if *length > 0 => Dim::Fixed(*length as usize),
        Some(DimValue::DimParam(name)) if !name.is_empty() => Dim::Free(name.clone()),
        _ => Dim::Free(Dim::UNNAMED.to_owned()),
    };
    shape.dim.iter().map(|dim| dim_of(&dim.value)).collect()
}

/// Puts "is not equal to itself" in the place of `IsNaN`, whose type the runtime gets wrong: it takes its output for numbers.
pub(crate) fn express_is_nan(graph: &mut GraphProto) {
    let mut expressed = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        for inner in node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
        {
            express_is_nan(inner);
        }
        match (node.op_type.as_str(), node.input.as_slice(), node.output.as_slice()) {
            ("IsNaN", [input], [output]) => {
                let is_number = format!("{output}/is_number");
                let (input, output) = (input.clone(), output.clone());
                let of = |op_type: &str, input, output| NodeProto {
                    op_type: op_type.to_owned(),
                    name: format!("{}/{op_type}", node.name),
                    input,
                    output: vec![output],
                    ..NodeProto::default()
                };
                expressed.push(of("Equal", vec![input.clone(), input], is_number.clone()));
                expressed.push(of("Not", vec![is_number], output));
            }
            _ => expressed.push(node),
        }
    }
    graph.node = expressed;
}

/// Gives every free input dimension without a name one of its own, so that shapes can be followed through the graph.
pub(crate) fn name_free_dims(proto: &mut ModelProto) {
    for (index, input) in proto.graph.iter_mut().flat_map(|graph| &mut graph.input).enumerate() {
        let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|outer| outer.value.as_mut())
        else {
            continue;
        };
        for (axis, dim) in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim).enumerate() {
            let is_named = match &dim.value {
                Some(DimValue::DimValue(length)) => *length > 0,
                Some(DimValue::DimParam(name)) => !name.is_empty() && name != Dim::UNNAMED,
                None => false,
            };
            if !is_named {
                dim.value = Some(DimValue::DimParam(format!("unnamed_{index}_{axis}")));
            }
        }
    }
}
