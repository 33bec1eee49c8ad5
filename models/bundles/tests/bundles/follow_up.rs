//! What became of bundles, beside counts made by hand and an interval from its paper.

use dhow_bundles::*;

fn bundle(anchor: u32, complements: &[u32]) -> Bundle {
    Bundle { anchor, complements: complements.to_vec() }
}

fn basket<'a>(items: &'a [u32], shown_anchors: &'a [u32]) -> LaterBasket<'a> {
    LaterBasket { items, shown_anchors }
}

#[test]
fn outcomes_are_those_counted_by_hand() {
    let prices = [1_000, 100, 200, 50];
    let baskets = [
        basket(&[0, 1, 2], &[0]),
        basket(&[0, 1, 1, 3], &[0]),
        basket(&[0], &[0]),
        basket(&[0, 3], &[]),
        basket(&[1], &[0]),
        basket(&[3], &[]),
        basket(&[], &[]),
    ];
    let outcomes = follow_up(&[bundle(0, &[1, 2]), bundle(3, &[2])], baskets, &prices).unwrap();
    let camera = &outcomes[0];
    assert_eq!((camera.anchor_baskets, camera.whole, camera.partly), (4, 1, 1));
    assert_eq!((camera.attach_rate, camera.attached_revenue_minor), (Some(0.5), 400));
    assert_eq!(camera.revenue_with_minor, Some((1_300.0 + 1_150.0) / 2.0));
    assert_eq!(camera.revenue_without_minor, Some((1_000.0 + 1_050.0) / 2.0));
    assert_eq!(camera.lift, Some(1.0), "half of the four with the anchor, half of the two without");
    let shown = camera.shown_attach.unwrap();
    assert_eq!((shown.with_baskets, shown.without_baskets), (3, 1));
    assert!((shown.difference - 2.0 / 3.0).abs() < 1e-12 && shown.low < 0.0 && shown.high <= 1.0);
    assert_eq!(camera.shown_revenue_minor, None, "one basket has no spread");
    let other = &outcomes[1];
    assert_eq!((other.anchor_baskets, other.whole, other.attach_rate), (3, 0, Some(0.0)));
    assert_eq!((other.shown_attach, other.revenue_with_minor), (None, None));
}

#[test]
fn the_interval_of_a_difference_is_that_of_its_paper() {
    // Newcombe 1998, table II, contrast (a): 56 of 70 beside 48 of 80, method 10: .0524 to .3339.
    let with = |count: usize, items: &'static [u32]| std::iter::repeat_n(basket(items, &[0]), count);
    let without = |count: usize, items: &'static [u32]| std::iter::repeat_n(basket(items, &[]), count);
    let baskets = with(56, &[0, 1]).chain(with(14, &[0])).chain(without(48, &[0, 1])).chain(without(32, &[0]));
    let outcome = follow_up(&[bundle(0, &[1])], baskets, &[5, 7]).unwrap().remove(0);
    let shown = outcome.shown_attach.unwrap();
    assert!((shown.difference - 0.2).abs() < 1e-12);
    assert!((shown.low - 0.0524).abs() < 5e-5 && (shown.high - 0.3339).abs() < 5e-5, "{shown:?}");
    // Revenue is 5, or 12 with the complement, so its difference is 7 times that of the shares.
    let revenue = outcome.shown_revenue_minor.unwrap();
    assert!((revenue.difference - 1.4).abs() < 1e-9);
    let variance = |p: f64, n: f64| 49.0 * p * (1.0 - p) / (n - 1.0);
    let half = 1.959_964 * (variance(0.8, 70.0) + variance(0.6, 80.0)).sqrt();
    assert!((revenue.high - revenue.low - 2.0 * half).abs() < 1e-4);
    assert_eq!((outcome.association, outcome.lift), (None, None), "every basket holds the anchor");
}

#[test]
fn bad_bundles_are_refused_with_their_place() {
    let refused = |bundles: &[Bundle]| follow_up(bundles, [], &[1, 1, 1]).unwrap_err().to_string();
    assert!(refused(&[bundle(0, &[])]).starts_with("bundle 0 is of item 0 alone"));
    assert!(refused(&[bundle(0, &[1, 0])]).starts_with("bundle 0 names item 0 twice"));
    assert!(refused(&[bundle(0, &[1, 1])]).starts_with("bundle 0 names item 1 twice"));
    assert!(refused(&[bundle(0, &[1]), bundle(0, &[2])]).starts_with("bundles 0 and 1 have the same anchor"));
    assert_eq!(refused(&[bundle(0, &[9])]), "bundle 0 names item 9; items are numbered below 3");
    let later = follow_up(&[bundle(0, &[1])], [basket(&[7], &[])], &[1, 1]).unwrap_err();
    assert_eq!(later.to_string(), "later basket 0 names item 7; items are numbered below 2");
    assert!(
        follow_up(&[bundle(0, &[1])], [], &[1, -1]).unwrap_err().to_string().starts_with("price in minor units is -1")
    );
    let nothing = follow_up(&[bundle(0, &[1])], [], &[1, 1]).unwrap().remove(0);
    assert_eq!((nothing.anchor_baskets, nothing.attach_rate, nothing.association), (0, None, None));
}
