//! The two example models, run one after the other on one thread: times and answers go out as JSON; a peer judges them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dhow_benches::quantile;
use dhow_registry::{EmbedderSettings, NamedTensor, Servable, Tensor, TensorData, TextEmbedder};
use serde_json::{Value, json};

/// As the server allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times of one short text, or of one image.
const RUNS: usize = 100;
/// Runs before them that do not count.
const WARMUP: usize = 10;

/// Embeds texts and classifies an image.
#[derive(Parser)]
struct Arguments {
    /// The folder with `minilm_int8` and `efficientnet_lite0`.
    #[arg(long)]
    models: PathBuf,
    /// A file with one text on each line.
    #[arg(long)]
    texts: PathBuf,
    /// A file with the pixels of an image as the model takes them: 32-bit floats, little endian.
    #[arg(long)]
    image: PathBuf,
    /// Where the vectors and the image's outputs go, as JSON.
    #[arg(long)]
    answers: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(figures) => {
            println!("RESULT {figures}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("embeddings: {problem}");
            ExitCode::from(2)
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Microseconds of each run.
fn times(mut work: impl FnMut() -> Result<(), String>) -> Result<Vec<u64>, String> {
    let mut times = Vec::with_capacity(RUNS);
    for run in 0..WARMUP + RUNS {
        let begin = Instant::now();
        work()?;
        if run >= WARMUP {
            times.push(begin.elapsed().as_micros() as u64);
        }
    }
    times.sort_unstable();
    Ok(times)
}

fn run(arguments: &Arguments) -> Result<Value, String> {
    let minilm = arguments.models.join("minilm_int8");
    let (graph, tokenizer) = (read(&minilm.join("model_int8.onnx"))?, read(&minilm.join("tokenizer.json"))?);
    let embedder = TextEmbedder::from_parts(&graph, &tokenizer, EmbedderSettings::default()).map_err(words)?;
    let texts = String::from_utf8(read(&arguments.texts)?).map_err(words)?;
    let texts: Vec<&str> = texts.lines().collect();
    let first = texts.first().ok_or("there is no text")?;
    let text_us = times(|| embedder.embed(&[first]).map(drop).map_err(words))?;
    let vectors = texts.iter().map(|text| Ok(embedder.embed(&[text]).map_err(words)?.swap_remove(0)));
    let vectors: Vec<Vec<f32>> = vectors.collect::<Result<_, String>>()?;

    let classifier = read(&arguments.models.join("efficientnet_lite0/efficientnet_lite0_fp32.onnx"))?;
    let classifier = Servable::from_onnx(&classifier).map_err(words)?;
    let spec = classifier.signature().inputs.first().ok_or("the image model takes nothing")?.clone();
    let pixels = TensorData::from_bytes(spec.element_type, &read(&arguments.image)?).map_err(words)?;
    let dims = spec.dims.iter().flatten();
    let shape = dims.map(|dim| if let dhow_registry::Dim::Fixed(length) = dim { *length } else { 1 }).collect();
    let input = [NamedTensor::new(&spec.name, Tensor::new(shape, pixels).map_err(words)?)];
    let image_us = times(|| classifier.run(&input).map(drop).map_err(words))?;
    let outputs = classifier.run(&input).map_err(words)?;
    let outputs: Vec<&[f32]> = outputs.iter().filter_map(|output| output.tensor.as_f32()).collect();

    let answers = json!({ "vectors": vectors, "outputs": outputs });
    std::fs::write(&arguments.answers, answers.to_string()).map_err(words)?;
    Ok(json!({
        "texts": texts.len(), "text_tokens": embedder.token_ids(first).map_err(words)?.len(),
        "text_us_p50": quantile(&text_us, 0.5), "text_us_p90": quantile(&text_us, 0.9),
        "image_us_p50": quantile(&image_us, 0.5), "image_us_p90": quantile(&image_us, 0.9),
    }))
}
