//! What a reviewer would ask for again and again, checked on every file; it judges text, not behaviour.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Heavy dependencies and where each may be imported: in one crate, but for the one that the cluster program shares.
const HEAVY: [(&str, &[&str]); 13] = [
    // The cluster program runs the plans of `offline` and is no part of the binary.
    ("datafusion", &["features/offline", "features/cluster"]),
    ("ballista", &["features/cluster"]),
    ("object_store", &["features/offline"]),
    ("redis", &["features/redis"]),
    ("polars", &["features/offline"]),
    ("tract_onnx", &["models/registry"]),
    ("tantivy", &["models/search"]),
    ("axum", &["serving/api"]),
    ("rdkafka", &["pipelines/kafka"]),
    ("sqlx", &["serving/store"]),
    ("utoipa", &["serving/api"]),
    // Two clients: one that goes wherever a stranger's URL leads, one that goes to the provider that was configured.
    ("reqwest", &["serving/webhooks", "serving/login"]),
    ("tonic", &["serving/inference"]),
];

/// The layers, lowest first: a crate may depend on its own layer and on lower ones.
const LAYERS: [&str; 4] = ["pipelines", "features", "models", "serving"];

/// Folders and files that may stand at the top.
const TOP_LEVEL: [&str; 21] = [
    "pipelines",
    "models",
    "serving",
    "features",
    "notebooks",
    "benches",
    "datasets",
    ".ci",
    ".git",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "deny.toml",
    "dhow.example.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "target",
];

const LINES_MAX: usize = 900;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn members() -> Vec<String> {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| member.as_str().unwrap().to_owned()).collect()
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                rust_files(&path, into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Every Rust file of the workspace: its member, its path from the top, its text.
fn sources() -> Vec<(String, String, String)> {
    let mut sources = Vec::new();
    for member in members() {
        let mut files = Vec::new();
        rust_files(&root().join(&member), &mut files);
        for file in files {
            let shown = file.strip_prefix(root()).unwrap().display().to_string();
            sources.push((member.clone(), shown, fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(sources.len() > members().len(), "the walk found too few files to mean anything");
    sources
}

/// The part of a file before its unit tests.
fn product_code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.contains("/examples/") || path.ends_with("/tests.rs")
}

fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_file_says_in_its_first_line_what_it_is_for() {
    let lacks = |text: &str| !text.starts_with("//! ") || text.lines().next().is_none_or(|line| line.len() < 24);
    report(
        sources()
            .into_iter()
            .filter(|(_, _, text)| lacks(text))
            .map(|(_, path, _)| format!("{path}: no `//!` purpose"))
            .collect(),
    );
}

#[test]
fn no_file_is_longer_than_one_idea() {
    let long = |text: &str| text.lines().count() > LINES_MAX;
    report(
        sources()
            .into_iter()
            .filter(|(_, _, text)| long(text))
            .map(|(_, path, text)| format!("{path}: {} lines", text.lines().count()))
            .collect(),
    );
}

#[test]
fn product_code_neither_panics_nor_prints_nor_is_unfinished() {
    // The words are put together here so that this file does not contain them.
    let everywhere: Vec<String> = ["todo", "unimplemented", "dbg"]
        .iter()
        .map(|word| format!("{word}!("))
        .chain([format!("#[{}]", "ignore")])
        .collect();
    let library = [".unwrap()", "panic!(", "println!(", "eprintln!(", "SystemTime::now", "Instant::now", "rand::rng()"];
    let may_print = ["serving/dhow", "benches"];
    let may_read_the_clock = "pipelines/events/src/time.rs";
    let mut problems = Vec::new();
    for (member, path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            for word in everywhere.iter().filter(|word| line.contains(word.as_str())) {
                problems.push(format!("{path}:{}: {word}", number + 1));
            }
        }
        if is_test_file(&path) || may_print.contains(&member.as_str()) || path == may_read_the_clock {
            continue;
        }
        for (number, line) in product_code(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in library.iter().filter(|word| code.contains(**word)) {
                problems.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    report(problems);
}

#[test]
fn each_heavy_dependency_is_imported_in_one_crate_alone() {
    let mut problems = Vec::new();
    for (member, path, text) in sources() {
        for (dependency, homes) in HEAVY {
            let imports = [format!("use {dependency}::"), format!(" {dependency}::"), format!("({dependency}::")];
            let imported = product_code(&text)
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && imports.iter().any(|i| line.contains(i)));
            if !homes.contains(&member.as_str()) && imported && !is_test_file(&path) {
                problems.push(format!("{path}: imports {dependency}, which belongs to {}", homes.join(" and ")));
            }
        }
    }
    for member in members() {
        let manifest = fs::read_to_string(root().join(&member).join("Cargo.toml")).unwrap();
        let table: toml::Table = manifest.parse().unwrap();
        let Some(dependencies) = table.get("dependencies").and_then(|d| d.as_table()) else { continue };
        for (dependency, homes) in HEAVY {
            let named =
                dependencies.contains_key(&dependency.replace('_', "-")) || dependencies.contains_key(dependency);
            if named && !homes.contains(&member.as_str()) {
                let homes = homes.join(" and ");
                problems.push(format!("{member}/Cargo.toml: depends on {dependency}, which belongs to {homes}"));
            }
        }
    }
    report(problems);
}

#[test]
fn data_flows_one_way_through_the_folders() {
    let layer_of = |member: &str| LAYERS.iter().position(|layer| member.starts_with(&format!("{layer}/")));
    let names: Vec<(String, String)> =
        members().into_iter().map(|member| (format!("dhow-{}", member.rsplit('/').next().unwrap()), member)).collect();
    let mut problems = Vec::new();
    for (_, member) in &names {
        let table: toml::Table = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap().parse().unwrap();
        let Some(dependencies) = table.get("dependencies").and_then(|d| d.as_table()) else { continue };
        for (package, target) in names.iter().filter(|(package, _)| dependencies.contains_key(package)) {
            if let (Some(from), Some(to)) = (layer_of(member), layer_of(target))
                && from < to
            {
                problems
                    .push(format!("{member} depends on {package}: {} must not point to {}", LAYERS[from], LAYERS[to]));
            }
        }
    }
    report(problems);
}

#[test]
fn the_definitions_and_the_rules_of_commerce_do_no_input_or_output() {
    let banned = ["std::fs", "std::net", "std::process", "tokio::", "std::io::"];
    let pure = ["features/definitions", "serving/commerce", "serving/customs", "serving/shipping", "pipelines/events"];
    let mut problems = Vec::new();
    for (member, path, text) in sources() {
        if pure.contains(&member.as_str()) && !is_test_file(&path) {
            let found = banned.iter().filter(|word| {
                product_code(&text).lines().any(|line| !line.trim_start().starts_with("//") && line.contains(**word))
            });
            problems.extend(found.map(|word| format!("{path}: {word}")));
        }
    }
    report(problems);
}

#[test]
fn every_crate_stands_in_the_architecture_and_nothing_else_stands_at_the_top() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut problems: Vec<String> = members()
        .into_iter()
        .filter(|member| !architecture.contains(&format!("`{member}`")))
        .map(|member| format!("ARCHITECTURE.md: no `{member}`"))
        .collect();
    let allowed: BTreeSet<&str> = TOP_LEVEL.into_iter().collect();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let ignored = name.starts_with("dhow-data") || name == "__pycache__";
        if !allowed.contains(name.as_str()) && !ignored {
            problems.push(format!("{name}: does not belong at the top"));
        }
    }
    report(problems);
}

#[test]
fn no_written_page_holds_both_sides_of_a_merge() {
    let pages = ["ARCHITECTURE.md", "CHANGELOG.md", "README.md", "benches/README.md", "features/README.md"];
    let mut problems = Vec::new();
    for page in pages {
        for (at, line) in fs::read_to_string(root().join(page)).unwrap().lines().enumerate() {
            if line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>") {
                problems.push(format!("{page}:{}: a mark of an unfinished merge", at + 1));
            }
        }
    }
    report(problems);
}

#[test]
fn no_unit_test_stands_in_a_library_whose_tests_are_not_run() {
    let is_tested = |member: &str| {
        let manifest: toml::Table =
            fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap().parse().unwrap();
        manifest.get("lib").and_then(|lib| lib.get("test")).and_then(|test| test.as_bool()) != Some(false)
    };
    let of_library = |member: &str, path: &str| path.starts_with(&format!("{member}/src/"));
    let problems = sources()
        .into_iter()
        .filter(|(member, path, text)| {
            of_library(member, path) && text.contains("\n#[cfg(test)]") && !is_tested(member)
        })
        .map(|(member, path, _)| format!("{path}: its tests never run: {member}/Cargo.toml says `test = false`"));
    report(problems.collect());
}

#[test]
fn no_archived_command_names_a_folder_of_one_machine() {
    let mut problems = Vec::new();
    for entry in fs::read_dir(root().join("benches/runs")).unwrap() {
        let path = entry.unwrap().path();
        let run: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let commands = run["commands"].as_object().into_iter().flatten().filter_map(|(_, command)| command.as_str());
        let everywhere = |word: &&str| !word.starts_with('/') || word.starts_with("/dev/") || word.starts_with("/tmp/");
        for word in commands.flat_map(str::split_whitespace).filter(|word| !everywhere(word)) {
            problems.push(format!("{}: {word}", path.display()));
        }
    }
    report(problems);
}

#[test]
fn versions_and_features_stand_once_in_the_workspace_manifest() {
    let mut problems = Vec::new();
    for member in members() {
        let table: toml::Table = fs::read_to_string(root().join(&member).join("Cargo.toml")).unwrap().parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in table.get(section).and_then(|d| d.as_table()).into_iter().flatten() {
                if value.get("workspace").and_then(|w| w.as_bool()) != Some(true) || value.get("features").is_some() {
                    problems.push(format!(
                        "{member}/Cargo.toml: {section}.{name} must be `workspace = true` without features"
                    ));
                }
            }
        }
    }
    report(problems);
}
