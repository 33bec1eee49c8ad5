//! Floors on public session data: the published figures of VMIS-kNN again, and what the index gains over them.
//!
//! Settings were chosen with `choose_settings` on the last twentieth of each training part; the test parts were only
//! measured.

use dhow_sessions::baseline::{VmisKnn, VmisSettings};
use dhow_sessions::*;

use crate::load::{DataSet, parquet_set, serenade_example};
use crate::tuned::{self, with_span};

/// What a data set must reach, under the rule that the current item is never answered unless it says otherwise.
struct Floors {
    /// HR@20 and MRR@20 of VMIS-kNN as published or measured with its authors' program, and how near ours must be.
    vmis: (f64, f64, f64),
    /// The lower end of the interval of the MRR gain over VMIS-kNN.
    gain_low: f64,
    /// HR@20 and MRR@20 with the current item allowed.
    allowed: (f64, f64),
}

fn sessions(data: &DataSet) -> Vec<Session<'_>> {
    data.train.iter().map(|(items, time)| Session { items, time: *time }).collect()
}

fn cases(data: &DataSet) -> Vec<Case<'_>> {
    data.test.iter().map(|(prefix, next, session)| Case { prefix, next: *next, session: *session }).collect()
}

fn hold(name: &str, data: &DataSet, settings: Settings, floors: &Floors) {
    let (train, cases) = (sessions(data), cases(data));
    let index = SessionIndex::build(&train, &settings).unwrap();
    let ours = evaluate(&index, &cases, 20).unwrap();
    let vmis = evaluate(&VmisKnn::new(&train, VmisSettings::default()), &cases, 20).unwrap();
    let gain = mrr_gain(&ours.never_current, &vmis.never_current, &cases, 1).unwrap();
    let show = |a: &Accuracy| format!("{:.4}/{:.4}", a.hit_rate, a.mrr);
    println!(
        "{name}: {} cases, never {} allowed {}, VMIS-kNN {}, MRR {:+.1} % ({:+.1} to {:+.1})",
        cases.len(),
        show(&ours.never_current),
        show(&ours.current_allowed),
        show(&vmis.never_current),
        100.0 * gain.mean,
        100.0 * gain.low,
        100.0 * gain.high
    );
    let (hit_rate, mrr, tolerance) = floors.vmis;
    assert!((vmis.never_current.hit_rate - hit_rate).abs() < tolerance, "the baseline's hit rate");
    assert!((vmis.never_current.mrr - mrr).abs() < tolerance, "the baseline's MRR");
    assert!(gain.low > floors.gain_low, "{gain:?}");
    assert!(ours.never_current.hit_rate > vmis.never_current.hit_rate);
    assert!(ours.current_allowed.hit_rate > floors.allowed.0 && ours.current_allowed.mrr > floors.allowed.1);
}

#[test]
fn diginetica_gains_over_vmis_knn() {
    let Some(data) = parquet_set("diginetica") else {
        println!("SKIPPED: diginetica_gains_over_vmis_knn: data folder absent");
        return;
    };
    let settings = with_span(&tuned::DIGINETICA, &data);
    let floors = Floors { vmis: (0.432, 0.146, 0.012), gain_low: 0.05, allowed: (0.52, 0.187) };
    hold("diginetica", &data, settings, &floors);
}

#[test]
fn yoochoose_gains_over_vmis_knn() {
    let Some(data) = parquet_set("yoochoose1_64") else {
        println!("SKIPPED: yoochoose_gains_over_vmis_knn: data folder absent");
        return;
    };
    let settings = with_span(&tuned::YOOCHOOSE, &data);
    let floors = Floors { vmis: (0.5465, 0.2178, 0.015), gain_low: 0.06, allowed: (0.695, 0.305) };
    hold("yoochoose1_64", &data, settings, &floors);
}

#[test]
fn the_serenade_example_gains_over_vmis_knn() {
    let Some(data) = serenade_example() else {
        println!("SKIPPED: the_serenade_example_gains_over_vmis_knn: data folder absent");
        return;
    };
    let settings = with_span(&tuned::SERENADE_EXAMPLE, &data);
    let floors = Floors { vmis: (0.663, 0.339, 0.008), gain_low: 0.0, allowed: (0.663, 0.37) };
    hold("serenade_example", &data, settings, &floors);
    // The settings that its authors publish for it, with the figures that they publish.
    let (train, cases) = (sessions(&data), cases(&data));
    let published = VmisSettings { neighbours: 288, recent_sessions: 1_502, last_items: 4, rarity_weight: 2.0 };
    let vmis = evaluate(&VmisKnn::new(&train, published), &cases, 20).unwrap().never_current;
    assert!((vmis.hit_rate - 0.663).abs() < 0.002 && (vmis.mrr - 0.3401).abs() < 0.004, "{vmis:?}");
}
