//! Writes small ONNX files byte by byte, independently of the reader under test; only what these tests need.

/// The numbers of ONNX's element types.
pub const F32: u64 = 1;
pub const I8: u64 = 3;
pub const I64: u64 = 7;

/// A protobuf message that is being written.
#[derive(Default, Clone)]
pub struct Message(Vec<u8>);

impl Message {
    pub fn new() -> Self {
        Self::default()
    }

    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    pub fn number(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    pub fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut message = self.varint(field << 3 | 2).varint(value.len() as u64);
        message.0.extend_from_slice(value);
        message
    }

    pub fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, &value.0)
    }

    pub fn messages(self, field: u64, values: Vec<Message>) -> Self {
        values.into_iter().fold(self, |message, value| message.message(field, value))
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// `output = operator(inputs)`.
pub fn node(operator: &str, inputs: &[&str], output: &str) -> Message {
    let node = inputs.iter().fold(Message::new(), |node, input| node.text(1, input));
    node.text(2, output).text(3, &format!("{operator}_{output}")).text(4, operator)
}

/// Adds an integer attribute to a node.
pub fn with_integer(node: Message, name: &str, value: u64) -> Message {
    const INT: u64 = 2;
    node.message(5, Message::new().text(1, name).number(3, value).number(20, INT))
}

/// A constant from its little-endian bytes.
pub fn constant(name: &str, element_type: u64, dims: &[u64], raw: &[u8]) -> Message {
    let tensor = dims.iter().fold(Message::new(), |tensor, &dim| tensor.number(1, dim));
    tensor.number(2, element_type).text(8, name).bytes(9, raw)
}

/// A constant of 32-bit floating point.
pub fn floats(name: &str, dims: &[u64], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    constant(name, F32, dims, &raw)
}

/// An input or output; a dimension is a number, or else a name.
pub fn value(name: &str, element_type: u64, dims: &[&str]) -> Message {
    let dim = |dim: &&str| match dim.parse() {
        Ok(length) => Message::new().number(1, length),
        Err(_) => Message::new().text(2, dim),
    };
    let shape = Message::new().messages(1, dims.iter().map(dim).collect());
    let tensor = Message::new().number(1, element_type).message(2, shape);
    Message::new().text(1, name).message(2, Message::new().message(1, tensor))
}

/// An input or output without a shape.
pub fn value_without_shape(name: &str, element_type: u64) -> Message {
    let tensor = Message::new().number(1, element_type);
    Message::new().text(1, name).message(2, Message::new().message(1, tensor))
}

/// A model of opset 17.
pub fn model(nodes: Vec<Message>, constants: Vec<Message>, inputs: Vec<Message>, outputs: Vec<Message>) -> Vec<u8> {
    let graph = Message::new().messages(1, nodes).text(2, "test").messages(5, constants);
    let graph = graph.messages(11, inputs).messages(12, outputs);
    let opset = Message::new().text(1, "").number(2, 17);
    Message::new().number(1, 8).message(7, graph).message(8, opset).into_bytes()
}

/// `y = x·W + b`, x of `[batch, 3]`, W of `[3, 2]`, b of `[2]`.
pub fn linear(weights: &[f32; 6], bias: &[f32; 2]) -> Vec<u8> {
    model(
        vec![node("MatMul", &["x", "w"], "product"), node("Add", &["product", "b"], "y")],
        vec![floats("w", &[3, 2], weights), floats("b", &[2], bias)],
        vec![value("x", F32, &["batch", "3"])],
        vec![value("y", F32, &["batch", "2"])],
    )
}
