//! How busy each day was for a product without it: its regions' and its category's sales of other products; it estimates nothing.
//!
//! Every product counts in units of its own mean sale, so that large ones do not drown the others. The expectation of product i
//! on day t is `Σ_r share_ir · others_rt · category_ct`: the other products' sales in region r, shared as the product's own are,
//! times how much of all sales fell to its category within two weeks around the day, beside the usual.

use crate::panel::Panel;
use std::collections::BTreeMap;

/// Days on either side in which a category's share is taken.
const AROUND_DAYS: usize = 14;
/// Sales that a category's usual share counts for in the share around a day.
const PRIOR_SALES: f64 = 100.0;

/// Sums over all products, from which each one's own are taken out.
pub(crate) struct Exposures<'a> {
    panel: &'a Panel,
    /// Per product the units of one mean sale.
    sizes: Vec<f64>,
    /// Region by region, the sales of each day.
    by_region: Vec<Vec<f64>>,
    /// The sales of each region on a mean day.
    region_means: Vec<f64>,
    /// Running sums of all sales, and of each category's: day t holds the days before t.
    all: Vec<f64>,
    by_category: BTreeMap<Option<dhow_events::Category>, Vec<f64>>,
}

impl<'a> Exposures<'a> {
    pub fn of(panel: &'a Panel) -> Exposures<'a> {
        let size = |sold: &[crate::SoldOn]| sold.iter().map(|one| one.units).sum::<f64>() / sold.len().max(1) as f64;
        let sizes: Vec<f64> = panel.products.iter().map(|one| size(&one.sold).max(f64::MIN_POSITIVE)).collect();
        let mut by_region = vec![vec![0.0; panel.days]; panel.regions];
        let mut by_category: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for (product, size) in panel.products.iter().zip(&sizes) {
            let of_category = by_category.entry(product.category).or_insert_with(|| vec![0.0; panel.days]);
            for sold in &product.sold {
                by_region[sold.region][sold.day] += sold.units / size;
                of_category[sold.day] += sold.units / size;
            }
        }
        let region_means = by_region.iter().map(|days| days.iter().sum::<f64>() / panel.days.max(1) as f64).collect();
        let all: Vec<f64> = (0..panel.days).map(|day| by_region.iter().map(|days| days[day]).sum()).collect();
        by_category.values_mut().for_each(|days| *days = running(days));
        Exposures { panel, sizes, by_region, region_means, all: running(&all), by_category }
    }

    /// The expectation of a product on each day, up to a factor; 0 on days without trade.
    pub fn of_product(&self, number: usize) -> Vec<f64> {
        let (product, size, days) = (&self.panel.products[number], self.sizes[number], self.panel.days);
        let (mut own, mut own_days) = (vec![0.0; self.panel.regions], vec![0.0; days]);
        let mut others: Vec<Vec<f64>> = self.by_region.clone();
        for sold in &product.sold {
            own[sold.region] += sold.units / size;
            own_days[sold.day] += sold.units / size;
            others[sold.region][sold.day] -= sold.units / size;
        }
        let (own_total, total): (f64, f64) = (own.iter().sum(), self.region_means.iter().sum());
        let own_running = running(&own_days);
        let Some(category) = self.by_category.get(&product.category) else { return vec![0.0; days] };
        let usual = category[days] / self.all[days].max(f64::MIN_POSITIVE);
        let expectation = |day: usize| {
            let of_region = |region: usize| {
                let mean = self.region_means[region];
                if mean <= 0.0 {
                    return 0.0;
                }
                // One sale is spread as all products' are.
                let share = (own[region] + mean / total) / (own_total + 1.0);
                share * others[region][day].max(0.0) / mean
            };
            let window = |sums: &[f64]| sums[(day + AROUND_DAYS + 1).min(days)] - sums[day.saturating_sub(AROUND_DAYS)];
            let own = window(&own_running);
            let (of_category, of_all) = ((window(category) - own).max(0.0), (window(&self.all) - own).max(0.0));
            let busy = (of_category + PRIOR_SALES * usual) / ((of_all + PRIOR_SALES) * usual.max(f64::MIN_POSITIVE));
            (0..self.panel.regions).map(of_region).sum::<f64>() * busy
        };
        (0..days).map(expectation).collect()
    }
}

/// Running sums, beginning with 0.
fn running(values: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let next = |value: &f64| {
        sum += value;
        sum
    };
    std::iter::once(0.0).chain(values.iter().map(next)).collect()
}
