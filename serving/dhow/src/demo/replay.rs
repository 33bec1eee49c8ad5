//! The held-out day as real requests: what shoppers do goes to the API over HTTP, and its answers are compared with what followed.
//!
//! Visits run beside each other, each in its own order. Before a shopper's next view the API is asked for a slate: a hit is
//! a slate that holds the product viewed next. Checkouts that became orders are bought through the commerce API, which
//! scores them in its transaction; the others are scored alone.

use std::net::SocketAddr;
use std::sync::Arc;

use dhow_datasets::Arrival;
use dhow_engine::Engine;
use dhow_events::{CheckoutId, Clock, Fact, ProductId, SystemClock, Timestamp, cloudevents};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Value as Json, json};

use super::history::{History, offer};
use super::report::{ReplayFigures, Report, Stage};
use crate::clock::ReplayClock;
use crate::demo::client::Client;
use crate::failure::Failure;
use crate::output::progress;

/// Visits that are replayed beside each other.
const LANES: usize = 4;
/// Products in a slate.
const SLATE: usize = 20;
/// Products whose forecast is asked for.
const FORECASTS: usize = 200;

/// What one lane saw.
#[derive(Default)]
struct Seen {
    figures: ReplayFigures,
    /// Each decided checkout's score.
    scores: Vec<(CheckoutId, f64)>,
}

/// Replays the held-out day.
///
/// # Errors
/// The server does not answer, or answers what a client cannot accept.
pub async fn run(
    engine: &Arc<Engine>,
    clock: &Arc<ReplayClock>,
    address: SocketAddr,
    history: &History,
    cut: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    let begin = SystemClock.now();
    let bar = progress("replay a held-out day", history.held_out.len() as u64);
    let bought = Arc::new(bought_lines(&history.held_out));
    let mut lanes: Vec<Vec<Arrival>> = vec![Vec::new(); LANES];
    for arrival in &history.held_out {
        lanes[(lane_key(&arrival.event.fact) % LANES as u128) as usize].push(arrival.clone());
    }
    let mut running = Vec::with_capacity(LANES);
    for lane in lanes {
        let (clock, engine, bought, bar) = (clock.clone(), engine.clone(), bought.clone(), bar.clone());
        running.push(tokio::spawn(async move {
            let mut shopper = Shopper {
                client: Client::new(address),
                engine,
                waiting_stock: FxHashMap::default(),
                bought,
                seen: Seen::default(),
                last_view: FxHashMap::default(),
            };
            for arrival in lane {
                clock.reach(arrival.arrives_at);
                shopper.replay(&arrival).await?;
                bar.inc(1);
            }
            Ok::<_, Failure>((shopper.seen, shopper.client.take_latencies()))
        }));
    }
    let mut seen = Seen::default();
    for lane in running {
        let (lane_seen, latencies) = lane.await??;
        seen.figures.add(&lane_seen.figures);
        seen.scores.extend(lane_seen.scores);
        report.add_latencies(latencies);
    }
    bar.finish_and_clear();
    report.stage(Stage::new("replay the held-out day over HTTP", report.request_count(), begin));
    ask_forecasts(address, history, report).await?;
    seen.figures.judge_scores(&seen.scores, &history.truth);
    clock.reach(cut + dhow_events::DAY_MICROS);
    seen.figures.popular_hit_rate = popular_hit_rate(history);
    report.replay = Some(seen.figures);
    Ok(())
}

/// The trivial recommender on the same day: the products viewed most before it, to everybody.
fn popular_hit_rate(history: &History) -> f64 {
    let popular = history.popular_products(SLATE);
    let mut last: FxHashMap<u128, ProductId> = FxHashMap::default();
    let (mut asked, mut hits) = (0_u64, 0_u64);
    for arrival in &history.held_out {
        let Fact::ProductViewed(view) = &arrival.event.fact else { continue };
        if last.insert(view.session.as_u128(), view.product).is_some_and(|before| before != view.product) {
            asked += 1;
            hits += u64::from(popular.contains(&view.product));
        }
    }
    hits as f64 / (asked as f64).max(1.0)
}

/// The lines of each checkout that became an order, with the total in cents.
fn bought_lines(arrivals: &[Arrival]) -> FxHashMap<CheckoutId, Vec<(ProductId, i64)>> {
    let mut lines: FxHashMap<CheckoutId, Vec<(ProductId, i64)>> = FxHashMap::default();
    let mut events = FxHashSet::default();
    for arrival in arrivals {
        if let Fact::ItemOrdered(item) = &arrival.event.fact
            && events.insert(arrival.event.id)
        {
            lines.entry(item.checkout).or_default().push((item.product, item.quantity));
        }
    }
    lines
}

/// What keeps the events of one visit, or of one checkout, in one lane.
fn lane_key(fact: &Fact) -> u128 {
    match fact {
        Fact::CheckoutSubmitted(f) => f.checkout.as_u128(),
        _ => fact.routing_key(),
    }
}

struct Shopper {
    client: Client,
    /// A seller's catalogue is taken over as a whole, which the API has no route for.
    engine: Arc<Engine>,
    waiting_stock: FxHashMap<ProductId, i64>,
    bought: Arc<FxHashMap<CheckoutId, Vec<(ProductId, i64)>>>,
    seen: Seen,
    last_view: FxHashMap<u128, ProductId>,
}

impl Shopper {
    async fn replay(&mut self, arrival: &Arrival) -> Result<(), Failure> {
        match &arrival.event.fact {
            Fact::ProductViewed(view) => {
                let visit = view.session.as_u128();
                if self.last_view.get(&visit).is_some_and(|last| *last != view.product) {
                    let body = json!({
                        "session": view.session, "buyer": view.buyer, "region": view.region,
                        "surface": "product", "count": SLATE,
                    });
                    let answer = self.client.post("recommend", "/v1/recommendations", &body, None).await?;
                    self.note_slate(&answer, view.product)?;
                }
                self.last_view.insert(visit, view.product);
                self.post_event(arrival).await
            }
            Fact::CheckoutSubmitted(submitted) => match self.bought.get(&submitted.checkout).cloned() {
                Some(lines) => self.buy(arrival, &lines).await,
                None => {
                    let body = serde_json::to_value(submitted)?;
                    let answer = self.client.post("fraud score", "/v1/fraud/scores", &body, None).await?;
                    self.note_score(submitted.checkout, &answer["probability"])?;
                    self.post_event(arrival).await
                }
            },
            // Their checkout went through the commerce API, which tells of them itself.
            Fact::OrderPlaced(f) if self.bought.contains_key(&f.checkout) => Ok(()),
            Fact::ItemOrdered(f) if self.bought.contains_key(&f.checkout) => Ok(()),
            Fact::PaymentAuthorized(f) if self.bought.contains_key(&f.checkout) => Ok(()),
            // The database counts what is sold from here on; what comes in, it has to be told.
            Fact::StockChanged(stock) if stock.quantity_change <= 0 => Ok(()),
            Fact::StockChanged(stock) => {
                let path = format!("/v1/products/{}/stock", stock.product);
                let body = json!({ "on_hand": stock.on_hand });
                match self.client.try_put("stock", &path, &body).await? {
                    Ok(_) => Ok(()),
                    // It went off offer before the day began, or its listing is still on its way.
                    Err(refusal) if refusal.code == "not_found" => {
                        self.waiting_stock.insert(stock.product, stock.on_hand);
                        Ok(())
                    }
                    Err(refusal) => Err(refusal.into_failure("PUT a stock")),
                }
            }
            Fact::ProductListed(listed) => {
                let on_hand = self.waiting_stock.remove(&listed.product).unwrap_or(0);
                let row = offer(listed.product, listed, on_hand);
                self.engine.commerce().import_products(arrival.event.tenant, &[row]).await?;
                self.post_event(arrival).await
            }
            _ => self.post_event(arrival).await,
        }
    }

    async fn post_event(&mut self, arrival: &Arrival) -> Result<(), Failure> {
        let body = cloudevents::to_json(&arrival.event);
        self.client.post("event", "/v1/events", &body, None).await?;
        self.seen.figures.events += 1;
        Ok(())
    }

    async fn buy(&mut self, arrival: &Arrival, lines: &[(ProductId, i64)]) -> Result<(), Failure> {
        let Fact::CheckoutSubmitted(submitted) = &arrival.event.fact else { return Ok(()) };
        let lines: Vec<Json> =
            lines.iter().map(|(product, quantity)| json!({ "product": product, "quantity": quantity })).collect();
        let body = json!({
            "buyer": submitted.buyer, "session": submitted.session, "device": submitted.device, "card": submitted.card,
            "address": submitted.address, "region": submitted.region, "delivery_region": submitted.delivery_region,
            "payment_method": submitted.payment_method, "lines": lines,
        });
        let key = submitted.checkout.to_string();
        let answer = self.client.try_post("checkout", "/v1/checkouts", &body, Some(&key)).await?;
        let figures = &mut self.seen.figures;
        figures.checkouts += 1;
        match answer {
            Ok(checkout) => {
                match checkout["state"].as_str() {
                    Some("completed") => figures.completed += 1,
                    Some("held") => figures.held += 1,
                    Some("refused") => match checkout["refusal"].as_str() {
                        Some("fraud") => figures.refused_for_fraud += 1,
                        Some("stock") => figures.refused_for_stock += 1,
                        _ => figures.refused_by_payment += 1,
                    },
                    _ => figures.pending += 1,
                }
                self.note_score(submitted.checkout, &checkout["fraud"]["probability"])
            }
            // A product of the cart went off offer since the shopper saw it.
            Err(refusal) if refusal.is_of_products() => {
                figures.not_sellable += 1;
                Ok(())
            }
            Err(refusal) => Err(refusal.into_failure("a checkout")),
        }
    }

    fn note_slate(&mut self, answer: &Json, next: ProductId) -> Result<(), Failure> {
        let next = next.to_string();
        let items =
            answer["items"].as_array().ok_or_else(|| Failure::Failed(format!("a slate without items: {answer}")))?;
        let place = items.iter().position(|item| item["product"].as_str() == Some(&next));
        let figures = &mut self.seen.figures;
        figures.slates += 1;
        figures.slate_hits += u64::from(place.is_some());
        figures.reciprocal_ranks += place.map_or(0.0, |place| 1.0 / (place as f64 + 1.0));
        figures.degraded_slates += u64::from(answer["degraded"] == Json::Bool(true));
        Ok(())
    }

    fn note_score(&mut self, checkout: CheckoutId, probability: &Json) -> Result<(), Failure> {
        let probability =
            probability.as_f64().ok_or_else(|| Failure::Failed(format!("no probability for {checkout}")))?;
        self.seen.scores.push((checkout, probability));
        Ok(())
    }
}

async fn ask_forecasts(address: SocketAddr, history: &History, report: &mut Report) -> Result<(), Failure> {
    let mut client = Client::new(address);
    for product in history.stocked_products(FORECASTS) {
        let path = format!("/v1/forecasts/{product}?horizon=28&quantiles=0.1,0.5,0.9");
        match client.try_get("forecast", &path).await? {
            Ok(_) => {}
            // A product that never sold has no series; that is an answer, too.
            Err(refusal) if refusal.code == "not_found" => {}
            Err(refusal) => return Err(refusal.into_failure("a forecast")),
        }
    }
    report.add_latencies(client.take_latencies());
    Ok(())
}
