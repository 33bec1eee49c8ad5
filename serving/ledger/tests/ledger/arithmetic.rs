//! Division of amounts against its definition, on random amounts of every asset.

use std::sync::LazyLock;

use dhow_ledger::divide::{DivideError, RatePpm, Rounding, included_tax, of_rate, ratio, share_of_step, split};
use dhow_ledger::{Asset, AssetError};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_of_a_split_add_up_and_none_is_a_unit_off_its_exact_share(
        total in any::<i64>(),
        weights in prop::collection::vec(prop_oneof![Just(0), 1..1_000_u64, any::<u64>()], 1..40),
    ) {
        let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        let parts = match split(total, &weights) {
            Err(error) => {
                prop_assert_eq!(sum, 0);
                prop_assert_eq!(error, DivideError::NoWeight(weights.len()));
                return Ok(());
            }
            Ok(parts) => parts,
        };
        prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(total));
        for (part, weight) in parts.iter().zip(&weights) {
            // |part − total × weight / sum| < 1, in whole numbers: |part × sum − total × weight| < sum.
            let exact = u128::from(total.unsigned_abs()) * u128::from(*weight);
            let magnitude = u128::from(part.unsigned_abs());
            prop_assert!(magnitude >= exact / sum && magnitude <= exact / sum + 1, "{part} of {total} for {weight} of {sum}");
            prop_assert!(magnitude == exact / sum || exact % sum > 0, "a whole share gains nothing");
            prop_assert!(*part == 0 || (*part > 0) == (total > 0));
        }
    }

    #[test]
    fn refunds_in_any_parts_give_back_a_commission_to_the_unit(
        total in any::<i64>(),
        whole in 1..i64::MAX,
        cuts in prop::collection::vec(0.0..1.0_f64, 0..64),
    ) {
        let mut places: Vec<i64> = cuts.iter().map(|cut| (*cut * whole as f64) as i64).filter(|at| *at <= whole).collect();
        places.extend([0, whole]);
        places.sort_unstable();
        let steps = places.windows(2).map(|step| share_of_step(total, step[0], step[1], whole).unwrap());
        prop_assert_eq!(steps.map(i128::from).sum::<i128>(), i128::from(total));
    }

    #[test]
    fn a_rounded_ratio_is_the_nearest_unit_on_the_side_that_was_asked_for(
        amount in any::<i64>(),
        numerator in 0..1_000_000_u64,
        denominator in 1_000_000..u64::MAX,
    ) {
        let of = |rounding| i128::from(ratio(amount, numerator, denominator, rounding).unwrap());
        // In units of 1 / denominator everything is whole.
        let exact = i128::from(amount) * i128::from(numerator);
        let scaled = |units: i128| units * i128::from(denominator);
        let off = |units: i128| (scaled(units) - exact).abs();
        prop_assert!(scaled(of(Rounding::Down)).abs() <= exact.abs() && off(of(Rounding::Down)) < i128::from(denominator));
        prop_assert!(scaled(of(Rounding::Up)).abs() >= exact.abs() && off(of(Rounding::Up)) < i128::from(denominator));
        for rounding in [Rounding::HalfUp, Rounding::HalfEven] {
            prop_assert!(2 * off(of(rounding)) <= i128::from(denominator));
        }
    }

    #[test]
    fn an_amount_is_read_as_it_was_shown_in_every_asset(amount in any::<i64>(), asset in 0..assets().len()) {
        let asset = assets()[asset];
        prop_assert_eq!(asset.amount(&asset.shown(amount)).unwrap(), amount);
    }
}

/// Every ISO 4217 currency that events know, and the crypto assets.
fn assets() -> &'static [Asset] {
    static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(every_asset);
    &ASSETS
}

fn every_asset() -> Vec<Asset> {
    let letters = || (b'A'..=b'Z').map(char::from);
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
    codes
        .filter_map(|code| code.parse().ok())
        .chain(["ETH", "USDC", "USDT"].map(|code| code.parse().unwrap()))
        .collect()
}

#[test]
fn currencies_have_the_decimals_of_iso_4217_and_crypto_assets_their_own() {
    let decimals = |code: &str| code.parse::<Asset>().unwrap().decimals();
    assert_eq!(["JPY", "USD", "KWD", "CLF", "BTC", "ETH", "USDC", "USDT"].map(decimals), [0, 2, 3, 4, 8, 9, 6, 6]);
    assert!(assets().len() > 155, "{}", assets().len());
    assert_eq!("DOGE".parse::<Asset>(), Err(AssetError::Code("DOGE".to_owned())));
}

#[test]
fn an_amount_finer_than_the_unit_is_refused_and_never_rounded() {
    let usd: Asset = "USD".parse().unwrap();
    assert_eq!(usd.amount("12.340"), Ok(1_234));
    assert_eq!(usd.amount("-0.05"), Ok(-5));
    assert_eq!(usd.amount("12.345").unwrap_err().to_string(), "`12.345` is finer than USD is kept: it has 2 decimals");
    for text in ["", "-", "1.", ".5", "1,5", "1e3", "+1", "½", "1.2.3"] {
        assert_eq!(usd.amount(text), Err(AssetError::Number(text.to_owned())), "{text}");
    }
    assert!(matches!(Asset::Eth.amount("10000000000"), Err(AssetError::Range { .. })));
}

#[test]
fn halves_go_where_the_rounding_says() {
    let half = |amount, rounding| of_rate(amount, RatePpm(500_000), rounding).unwrap();
    assert_eq!([1, 3, -1, -3].map(|amount| half(amount, Rounding::HalfUp)), [1, 2, -1, -2]);
    assert_eq!([1, 3, -1, -3].map(|amount| half(amount, Rounding::HalfEven)), [0, 2, 0, -2]);
    assert_eq!([1, 3, -1, -3].map(|amount| half(amount, Rounding::Down)), [0, 1, 0, -1]);
    assert_eq!([1, 3, -1, -3].map(|amount| half(amount, Rounding::Up)), [1, 2, -1, -2]);
    // 20 % within 120 is 20.
    assert_eq!(included_tax(12_000, RatePpm(200_000), Rounding::HalfEven), Ok(2_000));
    assert_eq!(ratio(1, 1, 0, Rounding::Down), Err(DivideError::NoWeight(1)));
    assert_eq!(ratio(i64::MAX, 2, 1, Rounding::Down), Err(DivideError::Overflow));
    assert_eq!(share_of_step(5, 3, 2, 4), Err(DivideError::OutsideOfWhole { from: 3, to: 2, whole: 4 }));
}
