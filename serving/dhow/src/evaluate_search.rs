//! `dhow evaluate search`: plain BM25, words, meanings and both on catalogues of public data and on simulated queries; it promotes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dhow_datasets::catalog_match::{CatalogRecord, KnownItemQuery, read_catalog_match, title_of};
use dhow_datasets::simulator::paraphrased_queries;
use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_events::{Fact, ProductId, SaleRegions, SellerId};
use dhow_registry::{EmbedderSettings, TextEmbedder};
use dhow_search::{
    CHANGES_MAX, Change, Estimate, FacetsAsked, Filters, KeywordSettings, Mode, ProductDocument, QUERY_BYTES_MAX,
    RankingQuality, SearchIndex, SearchRequest, SearchSettings, difference, lift, mean, ranking_quality,
};
use serde::Serialize;

use crate::arguments::EvaluateArguments;
use crate::failure::Failure;
use crate::output::{json, progress, table};

/// Hits that are judged.
const CUTOFF: usize = 10;
/// Resamples of every interval.
const RESAMPLES: usize = 2_000;
/// Rounds of the search for settings.
const ROUNDS: usize = 2;
/// Texts that are embedded at once.
const EMBEDDED_AT_ONCE: usize = 256;
/// What a setting is multiplied by in the search for it.
const FACTORS: [f64; 4] = [0.5, 0.75, 1.4, 2.0];
/// What words, meanings and both are worth on one catalogue.
#[derive(Serialize)]
struct CatalogueReport {
    catalogue: String,
    products: usize,
    validation_queries: usize,
    test_queries: usize,
    methods: Vec<MethodReport>,
    /// The hybrid beside the others; empty without an embedder.
    hybrid_beside: Vec<Beside>,
}

#[derive(Serialize)]
struct MethodReport {
    method: &'static str,
    recall_10: Estimate,
    ndcg_10: Estimate,
}

/// NDCG@10 of the hybrid beside another method's, over the same queries.
#[derive(Serialize)]
struct Beside {
    method: &'static str,
    /// Ours less theirs.
    difference: Estimate,
    /// Ratio less 1; nothing where theirs is next to nothing.
    lift: Option<Estimate>,
}

/// What the command found.
#[derive(Serialize)]
struct Evaluated {
    /// Those that serve, or those chosen by --choose.
    settings: SearchSettings,
    catalogues: Vec<CatalogueReport>,
    /// Mean NDCG@10 over the public catalogues, the hybrid beside plain BM25 and beside words, ratio less 1.
    mean_lifts: BTreeMap<&'static str, f64>,
}

/// A query with its vector, where an embedder is there.
struct Asked {
    text: String,
    vector: Option<Vec<f32>>,
    relevant: BTreeSet<ProductId>,
}

struct Catalogue {
    name: String,
    is_public: bool,
    index: SearchIndex,
    valid: Vec<Asked>,
    test: Vec<Asked>,
}

#[derive(Clone, Copy, PartialEq)]
enum Method {
    Plain,
    Keyword,
    Meaning,
    Hybrid,
}

impl Method {
    const ALL: [Self; 4] = [Self::Plain, Self::Keyword, Self::Meaning, Self::Hybrid];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain BM25 of titles",
            Self::Keyword => "words",
            Self::Meaning => "meaning",
            Self::Hybrid => "hybrid",
        }
    }

    const fn needs_meanings(self) -> bool {
        matches!(self, Self::Meaning | Self::Hybrid)
    }
}

/// Runs the command.
///
/// # Errors
/// Files that are missing or of another format.
pub fn run(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let data = arguments.data.as_deref().ok_or_else(|| Failure::Input("`search` needs --data FOLDER".to_owned()))?;
    let embedder = arguments.embedder.as_deref().map(open_embedder).transpose()?;
    let mut catalogues = public_catalogues(data, embedder.as_ref())?;
    catalogues.push(simulated_catalogue(embedder.as_ref(), arguments.seed)?);
    let settings = match arguments.choose {
        true => choose(&mut catalogues, embedder.is_some())?,
        false => SearchSettings::default(),
    };
    let evaluated = judge(&mut catalogues, settings, embedder.is_some(), arguments.seed)?;
    if arguments.json {
        return json(&evaluated);
    }
    print(&evaluated);
    Ok(())
}

fn open_embedder(folder: &Path) -> Result<TextEmbedder, Failure> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
    };
    TextEmbedder::from_parts(&read("model_int8.onnx")?, &read("tokenizer.json")?, EmbedderSettings::default())
        .map_err(Failure::input)
}

fn embed(embedder: Option<&TextEmbedder>, texts: &[String]) -> Result<Vec<Option<Vec<f32>>>, Failure> {
    let Some(embedder) = embedder else { return Ok(vec![None; texts.len()]) };
    let bar = progress("embed", texts.len() as u64);
    let mut vectors = Vec::with_capacity(texts.len());
    for chunk in texts.chunks(EMBEDDED_AT_ONCE) {
        vectors.extend(embedder.embed(chunk)?.into_iter().map(Some));
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(vectors)
}

fn public_catalogues(data: &Path, embedder: Option<&TextEmbedder>) -> Result<Vec<Catalogue>, Failure> {
    let missing = |error| Failure::Input(format!("{}: {error}", data.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(data).map_err(missing)? {
        let path = entry.map_err(missing)?.path();
        if path.join("test.txt").is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    if names.is_empty() {
        return Err(Failure::Input(format!("{}: no folder in it has a test.txt", data.display())));
    }
    names.sort();
    names.into_iter().map(|name| public_catalogue(data, name, embedder)).collect()
}

fn public_catalogue(data: &Path, name: String, embedder: Option<&TextEmbedder>) -> Result<Catalogue, Failure> {
    let read = read_catalog_match(&data.join(&name)).map_err(Failure::input)?;
    let documents = read.catalogue.iter().enumerate().map(|(number, record)| document_of(number, record)).collect();
    let queries = |queries: Vec<KnownItemQuery>| {
        let known = |query: KnownItemQuery| (query.title, query.relevant.into_iter().map(product_id).collect());
        queries.into_iter().map(known).collect()
    };
    Ok(Catalogue {
        name,
        is_public: true,
        index: index_of(documents, embedder)?,
        valid: asked(queries(read.valid), embedder)?,
        test: asked(queries(read.test), embedder)?,
    })
}

/// Titles of a simulated marketplace, and queries that share no word with the titles that they ask for.
fn simulated_catalogue(embedder: Option<&TextEmbedder>, seed: u64) -> Result<Catalogue, Failure> {
    let mut documents = Vec::new();
    for arrival in Simulation::new(&SimulationSettings::at_scale(Scale::Small, seed))? {
        if let Fact::ProductListed(listed) = arrival.event.fact {
            documents.push(ProductDocument {
                product: listed.product,
                title: listed.title,
                description: listed.description,
                category: listed.category.to_string(),
                attributes: BTreeMap::new(),
                seller: listed.seller,
                price_minor: listed.price_usd_minor,
                sale_regions: SaleRegions::default(),
                available: true,
            });
        }
    }
    let listings: Vec<(ProductId, String)> =
        documents.iter().map(|document| (document.product, document.title.clone())).collect();
    let queries = paraphrased_queries(&listings).into_iter();
    let test = queries.map(|query| (query.text, query.relevant.into_iter().collect())).collect();
    Ok(Catalogue {
        name: "simulated, no word shared".to_owned(),
        is_public: false,
        index: index_of(documents, embedder)?,
        valid: Vec::new(),
        test: asked(test, embedder)?,
    })
}

fn product_id(number: usize) -> ProductId {
    ProductId::from_u128(number as u128 + 1)
}

fn document_of(number: usize, record: &CatalogRecord) -> ProductDocument {
    let of = |name: &str| record.get(name).cloned().unwrap_or_default();
    let attributes = ["manufacturer", "brand", "modelno"].map(|name| (name.to_owned(), of(name)));
    let price: f64 = of("price").parse().unwrap_or(0.0);
    ProductDocument {
        product: product_id(number),
        title: title_of(record).to_owned(),
        description: of("description"),
        category: of("category"),
        attributes: attributes.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        seller: SellerId::from_u128(1),
        price_minor: (price * 100.0).round() as i64,
        sale_regions: SaleRegions::default(),
        available: true,
    }
}

fn index_of(documents: Vec<ProductDocument>, embedder: Option<&TextEmbedder>) -> Result<SearchIndex, Failure> {
    let index = SearchIndex::new(SearchSettings::default())?;
    let texts: Vec<String> = documents.iter().map(|document| document.meaning_text().to_owned()).collect();
    let vectors = embed(embedder, &texts)?;
    let mut changes = Vec::new();
    for ((document, of), vector) in documents.into_iter().zip(texts).zip(vectors) {
        let product = document.product;
        changes.push(Change::Put(Box::new(document)));
        changes.extend(vector.map(|vector| Change::Meaning { product, of, vector }));
    }
    while !changes.is_empty() {
        let rest = changes.split_off(changes.len().min(CHANGES_MAX));
        index.apply(std::mem::replace(&mut changes, rest))?;
    }
    Ok(index)
}

fn asked(queries: Vec<(String, BTreeSet<ProductId>)>, embedder: Option<&TextEmbedder>) -> Result<Vec<Asked>, Failure> {
    let cut = |text: &str| text[..text.floor_char_boundary(QUERY_BYTES_MAX)].to_owned();
    let texts: Vec<String> = queries.iter().map(|(text, _)| cut(text)).collect();
    let vectors = embed(embedder, &texts)?;
    let both = queries.into_iter().zip(texts).zip(vectors);
    Ok(both.map(|(((_, relevant), text), vector)| Asked { text, vector, relevant }).collect())
}

/// The quality of every query's answer.
fn qualities(index: &SearchIndex, queries: &[Asked], method: Method) -> Result<Vec<RankingQuality>, Failure> {
    let quality = |asked: &Asked| {
        let mode = match (method, &asked.vector) {
            (Method::Meaning, Some(vector)) => Mode::Meaning(vector),
            (Method::Hybrid, Some(vector)) => Mode::Hybrid(vector),
            _ => Mode::Keyword,
        };
        let request = SearchRequest {
            text: &asked.text,
            mode,
            as_you_type: false,
            filters: Filters::default(),
            facets: FacetsAsked::default(),
            limit: CUTOFF,
            cursor: None,
        };
        let answer = index.search(&request)?;
        let ranking: Vec<ProductId> = answer.hits.iter().map(|hit| hit.product.product).collect();
        Ok(ranking_quality(&ranking, &asked.relevant, CUTOFF))
    };
    queries.iter().map(quality).collect()
}

fn ndcg(qualities: &[RankingQuality]) -> Vec<f64> {
    qualities.iter().map(|quality| quality.ndcg).collect()
}

/// The mean NDCG on the validation queries, every public catalogue counted alike.
fn on_validation(catalogues: &mut [Catalogue], settings: SearchSettings, method: Method) -> Result<f64, Failure> {
    let mut sum = 0.0;
    let public = catalogues.iter_mut().filter(|catalogue| catalogue.is_public);
    let mut count = 0.0;
    for catalogue in public {
        catalogue.index.set_settings(settings)?;
        let found = ndcg(&qualities(&catalogue.index, &catalogue.valid, method)?);
        sum += found.iter().sum::<f64>() / found.len().max(1) as f64;
        count += 1.0;
    }
    Ok(sum / count)
}

/// Settings by one after the other: those of words for words alone, then the weights of both together.
fn choose(catalogues: &mut [Catalogue], embedded: bool) -> Result<SearchSettings, Failure> {
    let mut best = SearchSettings::default();
    let bar = progress("choose settings", 0);
    let parts = [(Method::Keyword, 0..KEYWORD_SETTINGS), (Method::Hybrid, KEYWORD_SETTINGS..SETTINGS)];
    for (method, places) in parts.into_iter().filter(|(method, _)| embedded || !method.needs_meanings()) {
        let mut best_ndcg = on_validation(catalogues, best, method)?;
        for _ in 0..ROUNDS {
            for place in places.clone() {
                for factor in FACTORS {
                    let mut tried = best;
                    scale(&mut tried, place, factor);
                    let found = on_validation(catalogues, tried, method)?;
                    if found > best_ndcg {
                        (best, best_ndcg) = (tried, found);
                    }
                    bar.inc(1);
                }
            }
        }
        tracing::info!(method = method.name(), ndcg = best_ndcg, "chosen on validation");
    }
    bar.finish_and_clear();
    Ok(best)
}

/// Settings of words that are searched for: saturation, weights but the title's, shares of length.
const KEYWORD_SETTINGS: usize = 8;
/// And those of both together: the weights of meaning, letters, codes, their likeness and numbers.
const SETTINGS: usize = KEYWORD_SETTINGS + 5;

fn scale(settings: &mut SearchSettings, place: usize, factor: f64) {
    let (words, both) = (&mut settings.keyword, &mut settings.fusion);
    match place {
        0 => words.saturation *= factor,
        1..=3 => words.fields[place].weight *= factor,
        4..KEYWORD_SETTINGS => {
            let share = &mut words.fields[place - 4].length_share;
            *share = (*share * factor).min(1.0);
        }
        _ => {
            let weights = [
                &mut both.meaning_weight,
                &mut both.letters_weight,
                &mut both.codes_weight,
                &mut both.code_likeness_weight,
                &mut both.numbers_weight,
            ];
            weights.into_iter().skip(place - KEYWORD_SETTINGS).take(1).for_each(|weight| *weight *= factor);
        }
    }
}

fn judge(
    catalogues: &mut [Catalogue],
    settings: SearchSettings,
    embedded: bool,
    seed: u64,
) -> Result<Evaluated, Failure> {
    let mut reports = Vec::new();
    let mut sums: BTreeMap<&'static str, f64> = BTreeMap::new();
    for catalogue in catalogues {
        let mut gains: Vec<(Method, Vec<f64>)> = Vec::new();
        let mut methods = Vec::new();
        for method in Method::ALL.into_iter().filter(|method| embedded || !method.needs_meanings()) {
            let keyword = if method == Method::Plain { KeywordSettings::plain() } else { settings.keyword };
            catalogue.index.set_settings(SearchSettings { keyword, ..settings })?;
            let found = qualities(&catalogue.index, &catalogue.test, method)?;
            let recall: Vec<f64> = found.iter().map(|quality| quality.recall).collect();
            let of_queries = ndcg(&found);
            let report = MethodReport {
                method: method.name(),
                recall_10: mean(&recall, RESAMPLES, seed),
                ndcg_10: mean(&of_queries, RESAMPLES, seed),
            };
            if catalogue.is_public {
                *sums.entry(method.name()).or_default() += report.ndcg_10.value;
            }
            methods.push(report);
            gains.push((method, of_queries));
        }
        reports.push(CatalogueReport {
            catalogue: catalogue.name.clone(),
            products: catalogue.index.len(),
            validation_queries: catalogue.valid.len(),
            test_queries: catalogue.test.len(),
            methods,
            hybrid_beside: beside(&gains, seed),
        });
    }
    let hybrid = sums.get(Method::Hybrid.name()).copied();
    let of = |method: Method| Some((method.name(), hybrid? / sums.get(method.name())? - 1.0));
    let mean_lifts = [Method::Plain, Method::Keyword].into_iter().filter_map(of).collect();
    Ok(Evaluated { settings, catalogues: reports, mean_lifts })
}

/// The hybrid beside the other methods, where it was judged.
fn beside(gains: &[(Method, Vec<f64>)], seed: u64) -> Vec<Beside> {
    let Some((_, ours)) = gains.iter().find(|(method, _)| *method == Method::Hybrid) else { return Vec::new() };
    let others = gains.iter().filter(|(method, _)| *method != Method::Hybrid);
    let of = |(method, theirs): &(Method, Vec<f64>)| Beside {
        method: method.name(),
        difference: difference(ours, theirs, RESAMPLES, seed),
        lift: lift(ours, theirs, RESAMPLES, seed),
    };
    others.map(of).collect()
}

fn print(evaluated: &Evaluated) {
    let shown = |estimate: &Estimate| format!("{:.4} [{:.4}, {:.4}]", estimate.value, estimate.low, estimate.high);
    let mut rows = Vec::new();
    for report in &evaluated.catalogues {
        for method in &report.methods {
            rows.push(vec![
                report.catalogue.clone(),
                method.method.to_owned(),
                shown(&method.recall_10),
                shown(&method.ndcg_10),
            ]);
        }
    }
    println!("{}", table(&["catalogue", "method", "recall@10", "NDCG@10"], &rows, true));
    for report in &evaluated.catalogues {
        println!("{}: {} products, {} queries", report.catalogue, report.products, report.test_queries);
        for Beside { method, difference, lift } in &report.hybrid_beside {
            let ratio = lift.map_or("theirs is next to nothing".to_owned(), |lift| {
                let [value, low, high] = [lift.value, lift.low, lift.high].map(|share| share * 100.0);
                format!("{value:+.1} % [{low:+.1}, {high:+.1}]")
            });
            println!("  hybrid beside {method}: NDCG@10 {}, {ratio}", shown(difference));
        }
    }
    for (method, lift) in &evaluated.mean_lifts {
        println!("mean of the public catalogues, hybrid beside {method}: {:+.1} %", lift * 100.0);
    }
}
