//! Generates base forecasts of a large structure and reconciles them, for measurements; it judges no forecast.
//!
//! `reconcile generate FOLDER PRODUCTS` writes products × 4 regions with 20 categories and 150 sellers;
//! `reconcile equal|structural|variances|shrunk|not_negative FOLDER` reconciles 28 days and prints a checksum.

use dhow_hierarchy::{Dimension, Grouping, Hierarchy, HierarchyError, Reconciler, Weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, StandardNormal};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

const REGIONS: usize = 4;
const CATEGORIES: usize = 20;
const SELLERS: usize = 150;
const STEPS: usize = 28;
const PERIODS: usize = 100;

fn structure(products: usize) -> Result<Hierarchy, HierarchyError> {
    let labels =
        |kind: &'static str, count: usize| (0..count).map(|number| format!("{kind}{number}")).collect::<Vec<_>>();
    let (products, regions) = (labels("product", products), labels("region", REGIONS));
    let (categories, sellers) = (labels("category", CATEGORIES), labels("seller", SELLERS));
    let to = |parents: &'_ [String]| -> Vec<(String, String)> {
        let links = products
            .iter()
            .enumerate()
            .map(|(at, product)| (product.clone(), parents[at * 7919 % parents.len()].clone()));
        links.chain(parents.iter().map(|parent| (parent.clone(), "all".to_owned()))).collect()
    };
    let grouping = |name: &str, links: &[(String, String)]| {
        Grouping::new(name, links.iter().map(|(child, parent)| (&child[..], &parent[..])))
    };
    let areas: Vec<(String, String)> = regions.iter().map(|region| (region.clone(), "all".to_owned())).collect();
    let dimensions = [
        Dimension::new("product", vec![grouping("category", &to(&categories))?, grouping("seller", &to(&sellers))?]),
        Dimension::new("region", vec![grouping("area", &areas)?]),
    ];
    let rows: Vec<[&str; 2]> =
        products.iter().flat_map(|product| regions.iter().map(|region| [&product[..], &region[..]])).collect();
    Hierarchy::new(&dimensions, &rows)
}

fn write(path: &Path, rows: &[Vec<f64>]) -> std::io::Result<()> {
    fs::write(path, rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

fn read(path: &Path, nodes: usize) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let values: Result<Vec<f64>, _> =
        bytes.chunks_exact(8).map(|chunk| chunk.try_into().map(f64::from_le_bytes)).collect();
    Ok(values?.chunks(nodes).map(<[f64]>::to_vec).collect())
}

/// Sales of gamma sizes of 0.01 and more, whose variances every solver takes, forecast with errors that a node's rows share
/// in part.
fn generate(folder: &Path, products: usize) -> Result<(), Box<dyn Error>> {
    let hierarchy = structure(products)?;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let sizes = Gamma::new(0.5, 4.0)?;
    let bottom: Vec<f64> = (0..hierarchy.bottoms()).map(|_| 0.01 + sizes.sample(&mut rng)).collect();
    let values = hierarchy.sum(&bottom)?;
    let mut noise = |scale: f64| -> Result<Vec<f64>, HierarchyError> {
        let shared: f64 = StandardNormal.sample(&mut rng);
        let mut own = || -> f64 { StandardNormal.sample(&mut rng) };
        let below: Vec<f64> = bottom.iter().map(|size| size.sqrt() * (0.3 * shared + own())).collect();
        let summed = hierarchy.sum(&below)?;
        Ok(summed.iter().zip(&values).map(|(error, value)| scale * (error + 0.3 * value.sqrt() * own())).collect())
    };
    let residuals = (0..PERIODS).map(|_| noise(1.0)).collect::<Result<Vec<_>, _>>()?;
    let errors = (0..STEPS).map(|_| noise(1.0)).collect::<Result<Vec<_>, _>>()?;
    let base: Vec<Vec<f64>> =
        errors.iter().map(|errors| errors.iter().zip(&values).map(|(error, value)| value + error).collect()).collect();
    fs::create_dir_all(folder)?;
    fs::write(folder.join("products"), products.to_string())?;
    let lists = hierarchy.upper_members().map(|rows| rows.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    fs::write(folder.join("members"), lists.collect::<Vec<_>>().join("\n"))?;
    write(&folder.join("residuals"), &residuals)?;
    write(&folder.join("base"), &base)?;
    Ok(())
}

fn reconcile(kind: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let hierarchy = structure(fs::read_to_string(folder.join("products"))?.parse()?)?;
    let base = read(&folder.join("base"), hierarchy.nodes())?;
    let residuals = read(&folder.join("residuals"), hierarchy.nodes())?;
    let variance = |node: usize| residuals.iter().map(|row| row[node] * row[node]).sum::<f64>() / PERIODS as f64;
    let variances: Vec<f64> = (0..hierarchy.nodes()).map(variance).collect();
    let begin = Instant::now();
    let weights = match kind {
        "equal" => Weights::Equal,
        "structural" | "not_negative" => Weights::Structural,
        "variances" => Weights::Variances(&variances),
        "shrunk" => Weights::Shrunk(&residuals),
        other => return Err(format!("`{other}` is none of equal, structural, variances, shrunk, not_negative").into()),
    };
    let found = Reconciler::new(&hierarchy, &weights)?.reconcile_steps(&base, kind == "not_negative")?;
    let seconds = begin.elapsed().as_secs_f64();
    let squares: f64 = found.iter().flatten().map(|value| value * value).sum();
    let least = found.iter().flatten().fold(f64::INFINITY, |least, value| least.min(*value));
    let incoherence = found.iter().map(|values| largest_gap(&hierarchy, values)).fold(0.0, f64::max);
    println!(
        "RESULT {{\"nodes\":{},\"reconcile_s\":{seconds:.4},\"sum_of_squares\":{squares},\"least\":{least},\"largest_gap\":{incoherence:e}}}",
        hierarchy.nodes()
    );
    Ok(())
}

fn largest_gap(hierarchy: &Hierarchy, values: &[f64]) -> f64 {
    let gap = |(rows, value): (&[u32], &f64)| {
        (rows.iter().map(|row| values[hierarchy.uppers() + *row as usize]).sum::<f64>() - value).abs()
    };
    hierarchy.upper_members().zip(values).map(gap).fold(0.0, f64::max)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", folder, products] => generate(Path::new(folder), products.parse()?),
        [kind, folder] => reconcile(kind, Path::new(folder)),
        _ => Err("usage: reconcile generate FOLDER PRODUCTS | reconcile KIND FOLDER".into()),
    }
}
