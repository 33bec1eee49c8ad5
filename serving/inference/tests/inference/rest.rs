//! The JSON form: tensors in it and behind it, in any nesting, and what is refused.

use dhow_inference::rest::{read_request, write_answer};
use dhow_inference::{ErrorKind, InferAnswer};
use dhow_tensors::{ElementType, NamedTensor, Tensor, TensorData};

fn request(datatype: &str, rest: &str) -> String {
    format!(r#"{{"id":"7","inputs":[{{"name":"x","datatype":"{datatype}","shape":[1,2],{rest}}}]}}"#)
}

#[test]
fn tensors_behind_the_json_and_in_it_are_the_same_for_every_datatype() {
    let words = ["FP16", "FP32", "FP64", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8"];
    for (word, &element_type) in words.iter().chain(&["BOOL", "BYTES"]).zip(ElementType::ALL) {
        let values = match element_type {
            ElementType::Bool => "[[true,false]]",
            ElementType::Bytes => r#"["red","ü"]"#,
            _ => "[[1],[2]]",
        };
        let in_json = read_request(request(word, &format!(r#""data":{values}"#)).as_bytes(), None).unwrap();
        assert_eq!(in_json.inputs[0].tensor.data().element_type(), element_type, "{word}");
        let answer = InferAnswer {
            model_name: "m".to_owned(),
            model_version: "1".to_owned(),
            id: in_json.id.clone(),
            outputs: in_json.inputs.clone(),
        };
        let behind = write_answer(&answer, &[], true).unwrap();
        let length = behind.header_length.unwrap();
        let tail = &behind.bytes[length..];
        let json = request(word, &format!(r#""parameters":{{"binary_data_size":{}}}"#, tail.len()));
        let body = [json.as_bytes(), tail].concat();
        assert_eq!(read_request(&body, Some(&json.len().to_string())).unwrap(), in_json, "{word}");
        assert_eq!(write_answer(&answer, &[], false).unwrap().header_length, None);
    }
}

#[test]
fn what_is_no_request_is_refused_in_bounded_time() {
    let deep = format!(r#""data":{}1,2{}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    for (rest, words) in [
        (r#""data":[1,128]"#, "`data`"),
        (r#""data":[1]"#, "needs 2 elements; 1 were given"),
        (r#""data":[1,2],"parameters":{"binary_data_size":2}"#, "one of them must be absent"),
        (r#""parameters":{"binary_data_size":2}"#, "0 bytes are left"),
        (r#""parameters":{"shared_memory_region":"r"}"#, "not supported"),
        (deep.as_str(), "deep"),
    ] {
        let error = read_request(request("INT8", rest).as_bytes(), None).unwrap_err();
        assert!(error.message.contains(words), "{words}: {error}");
    }
    assert!(read_request(b"{}", Some("9")).unwrap_err().message.contains("Content-Length"));
    assert!(read_request(b"{", None).is_err());
}

#[test]
fn values_that_json_lacks_are_told_as_such_and_travel_as_bytes() {
    let tensor = Tensor::new(vec![1], TensorData::F32(vec![f32::NAN])).unwrap();
    let outputs = vec![NamedTensor::new("y", tensor)];
    let answer = InferAnswer { model_name: "m".to_owned(), model_version: "1".to_owned(), id: String::new(), outputs };
    assert_eq!(write_answer(&answer, &[], false).unwrap_err().kind, ErrorKind::Invalid);
    assert!(write_answer(&answer, &[], true).is_ok());
}
