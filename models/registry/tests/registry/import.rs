//! Imports of ONNX files, and registered models opened again.

use std::path::Path;

use dhow_registry::{
    Bundle, BundleError, EmbedderSettings, ImportError, ModelDraft, ModelFormat, NamedTensor, OnnxImport, Registry,
    Task, Tensor, TensorData, Trial, import_onnx, open_embedder, open_onnx, open_servable,
};

use crate::protobuf::linear;
use crate::text::{minilm, tiny_encoder, tiny_tokenizer};
use crate::{second, tenant};

fn request<'a>(onnx: &'a Path, tokenizer: Option<&'a Path>) -> OnnxImport<'a> {
    OnnxImport {
        name: "brought",
        onnx,
        tokenizer,
        task: if tokenizer.is_some() { Task::Embedding } else { Task::Custom },
        licence: "Apache-2.0",
        at: second(1),
        embedder: EmbedderSettings { max_tokens: 5 },
    }
}

#[test]
fn an_imported_graph_is_tried_on_zeros_and_runs_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("linear.onnx");
    std::fs::write(&file, linear(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[0.5, -0.5])).unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let imported = import_onnx(&registry, &tenant("a"), &request(&file, None)).unwrap();
    assert_eq!(imported.trial, Trial::RanOnZeros(vec![("y".to_owned(), vec![1, 2])]));
    assert_eq!(imported.card.draft.licence, "Apache-2.0");

    let registry = Registry::open(folder.path().join("models")).unwrap();
    let model = open_onnx(&registry, imported.card.model_id).unwrap();
    assert_eq!(*model.signature(), imported.signature);
    let x = Tensor::new(vec![1, 3], TensorData::F32(vec![1.0, 1.0, 1.0])).unwrap();
    assert_eq!(model.run(&[NamedTensor::new("x", x)]).unwrap()[0].tensor.as_f32(), Some(&[9.5, 11.5][..]));
    let refused = open_embedder(&registry, imported.card.model_id);
    assert!(matches!(refused, Err(ImportError::WrongKind { .. })));
}

#[test]
fn an_imported_text_model_keeps_its_tokenizer_and_its_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (onnx, tokenizer) = (folder.path().join("m.onnx"), folder.path().join("t.json"));
    std::fs::write(&onnx, tiny_encoder()).unwrap();
    std::fs::write(&tokenizer, tiny_tokenizer()).unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let imported = import_onnx(&registry, &tenant("a"), &request(&onnx, Some(&tokenizer))).unwrap();
    assert_eq!(imported.trial, Trial::Embedded { dimension: 2 });
    let embedder = open_embedder(&registry, imported.card.model_id).unwrap();
    assert_eq!(embedder.token_ids("red red red red red").unwrap(), [2, 4, 4, 4, 3]);
}

#[test]
fn a_file_that_is_missing_or_not_onnx_is_named_and_nothing_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "these are notes").unwrap();
    let missing = folder.path().join("absent.onnx");
    for (path, expected) in [(&file, "notes.txt: the file is not an ONNX model"), (&missing, "absent.onnx")] {
        let refused = import_onnx(&registry, &tenant("a"), &request(path, None)).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    assert!(registry.list(&tenant("a")).unwrap().is_empty());
}

/// A forest that the tests of the trees hold against the system that wrote it, with the rows and margins that it gave.
fn fixture(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../trees/tests/trees/fixtures").join(file)
}

#[test]
fn trees_of_lightgbm_and_onnx_answer_as_the_system_that_wrote_them() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let number = |word: &str| f64::from_bits(u64::from_str_radix(word, 16).unwrap());
    for (file, format, tolerance) in [
        ("lightgbm_binary.txt", ModelFormat::Lightgbm, 0.0),
        ("exported_lightgbm_binary.onnx", ModelFormat::Onnx, 1e-5),
        ("onnx_lightgbm_zipmap.onnx", ModelFormat::Onnx, 1e-5),
    ] {
        let imported = import_onnx(&registry, &tenant("a"), &request(&fixture(file), None)).unwrap();
        assert_eq!(imported.card.draft.format, format);
        let names: Vec<&str> = imported.signature.outputs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names, ["prediction", "margin"]);
        let (_, model) = open_servable(&registry, imported.card.model_id).unwrap();
        let rows = std::fs::read_to_string(fixture(file).with_extension("rows")).unwrap();
        let mut compared = 0;
        for line in rows.lines() {
            let [row, raw, _] = line.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap();
            let values: Vec<f64> = row.split(' ').map(number).collect();
            let tensor = Tensor::new(vec![1, values.len()], TensorData::F64(values)).unwrap();
            let outputs = model.run(&[NamedTensor::new("features", tensor)]).unwrap();
            let TensorData::F64(margin) = outputs[1].tensor.data() else { panic!("{outputs:?}") };
            if raw != "-" {
                let gap = (margin[0] - number(raw)).abs();
                assert!(
                    gap <= tolerance * number(raw).abs().max(1.0),
                    "{file}: {} instead of {}",
                    margin[0],
                    number(raw)
                );
                compared += 1;
            }
        }
        assert!(compared > 0 || format == ModelFormat::Onnx, "{file}: nothing was compared");
        let wrong = Tensor::new(vec![1, 1], TensorData::F64(vec![0.0])).unwrap();
        assert!(model.run(&[NamedTensor::new("features", wrong)]).is_err());
    }
    let refused = open_servable(&registry, {
        let draft = ModelDraft::new(tenant("a"), Task::Fraud, "own", ModelFormat::Postcard, second(1), "Apache-2.0");
        registry.register(draft, b"own").unwrap().model_id
    });
    assert!(matches!(refused, Err(ImportError::WrongKind { .. })));
}

#[test]
fn a_model_of_another_format_is_not_opened_as_onnx() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let draft = ModelDraft::new(tenant("a"), Task::Fraud, "trees", ModelFormat::Postcard, second(1), "Apache-2.0");
    let card = registry.register(draft, b"trees").unwrap();
    let refused = open_onnx(&registry, card.model_id).unwrap_err();
    assert!(refused.to_string().contains("its format is postcard, not onnx"), "{refused}");
}

#[test]
fn a_bundle_gives_its_files_back_and_notices_every_cut() {
    let mut bundle = Bundle::new();
    bundle.add("a", vec![1, 2, 3]).unwrap();
    bundle.add("b", vec![]).unwrap();
    assert!(matches!(bundle.add("a", vec![]), Err(BundleError::Names(_))));
    assert!(matches!(bundle.get("c"), Err(BundleError::Missing { found, .. }) if found == "a, b"));
    let bytes = bundle.to_bytes().unwrap();
    assert_eq!(Bundle::from_bytes(&bytes).unwrap(), bundle);
    for length in 0..bytes.len() {
        assert!(matches!(Bundle::from_bytes(&bytes[..length]), Err(BundleError::NotABundle(_))), "{length}");
    }
    assert!(matches!(Bundle::from_bytes(&[&bytes[..], b"x"].concat()), Err(BundleError::NotABundle(_))));
}

#[test]
fn minilm_can_be_imported_promoted_and_opened() {
    let Some((onnx, tokenizer)) = minilm("minilm_can_be_imported_promoted_and_opened") else { return };
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let import = OnnxImport { embedder: EmbedderSettings::default(), ..request(&onnx, Some(&tokenizer)) };
    let imported = import_onnx(&registry, &tenant("a"), &import).unwrap();
    assert_eq!(imported.trial, Trial::Embedded { dimension: 384 });
    let model_id = imported.card.model_id;
    let champion = dhow_registry::Alias::Champion;
    registry.promote(&tenant("a"), Task::Embedding, champion, model_id, second(2), "first").unwrap();
    let resolved = registry.resolve(&tenant("a"), Task::Embedding, champion).unwrap();
    assert_eq!(open_embedder(&registry, resolved).unwrap().dimension(), 384);
}
