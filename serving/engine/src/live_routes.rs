//! Changes of live route plans: one more order at its cheapest place, and lower costs with few changes.

use std::sync::Arc;

use dhow_commerce::{CommerceError, MadePlan, RoutePlan, RoutePlanState};
use dhow_events::{PlanId, TenantId};
use dhow_routes::{Budget, Kpis, MAX_ITERATIONS, Plan, Step, insert, reoptimise, vroom};
use serde_json::{Value as Json, json};

use crate::error::failed;
use crate::route_plans::check_size;
use crate::routes::{Baselines, explanations, figures, parse, task_name};
use crate::{Engine, EngineError};

/// Seconds that a live plan may be searched while its caller waits.
pub const REOPTIMISE_SECONDS: std::ops::RangeInclusive<f64> = 0.05..=5.0;

/// One more order, in VROOM's JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum RouteOrder {
    /// A job.
    Job(Json),
    /// A shipment.
    Shipment(Json),
}

/// Where an order went, or would go.
#[derive(Debug, Clone)]
pub struct RouteInsertion {
    /// The plan with the order; as it was where only the price was asked for.
    pub plan: RoutePlan,
    /// The vehicle that takes it.
    pub vehicle: String,
    /// Its place in the vehicle's round, from 1; a shipment's pickup's.
    pub position: usize,
    /// What it adds to the plan's cost.
    pub added_cost: i64,
}

/// What a search for a better live plan came to.
#[derive(Debug, Clone)]
pub struct RouteReoptimisation {
    /// The plan as it is now.
    pub plan: RoutePlan,
    /// Tasks that another vehicle serves than before.
    pub moved: Vec<String>,
    /// The plan's cost before.
    pub cost_before: i64,
    /// The plan's cost now.
    pub cost: i64,
}

/// A live plan as the planner sees it.
struct LivePlan {
    request: vroom::Request,
    plan: Plan,
    kpis: Option<Kpis>,
}

impl Engine {
    /// Puts one order into a live plan where that costs least; no other task changes its vehicle or its order.
    ///
    /// # Errors
    /// No such plan, another version, a wrong order with the place of the mistake below `/job` or `/shipment`, or no place for
    /// it, with what would make one; the database fails.
    pub async fn insert_into_route_plan(
        &self,
        tenant: TenantId,
        id: PlanId,
        expected: i64,
        order: RouteOrder,
        price_only: bool,
    ) -> Result<RouteInsertion, EngineError> {
        let stored = self.made_plan(tenant, id, expected).await?;
        let (plan, unchanged) = (stored.clone(), stored);
        let found = self.in_turn(move || inserted(&plan, order)).await?;
        let Inserted { made, vehicle, position, added_cost } = found;
        let plan =
            if price_only { unchanged } else { self.commerce().change_route_plan(tenant, id, expected, made).await? };
        Ok(RouteInsertion { plan, vehicle, position, added_cost })
    }

    /// Searches for a better plan, in which a task has another vehicle only where that saves more than `stability_price`; what
    /// was left out is served where it can be.
    ///
    /// # Errors
    /// No such plan, another version, a price or a time out of its bounds; the database fails.
    pub async fn reoptimise_route_plan(
        &self,
        tenant: TenantId,
        id: PlanId,
        expected: i64,
        stability_price: i64,
        seconds: f64,
    ) -> Result<RouteReoptimisation, EngineError> {
        if stability_price < 0 {
            return Err(EngineError::invalid("/stability_price", "must be 0 or more"));
        }
        if !REOPTIMISE_SECONDS.contains(&seconds) {
            let (least, most) = (REOPTIMISE_SECONDS.start(), REOPTIMISE_SECONDS.end());
            return Err(EngineError::invalid("/seconds", format!("is {seconds}; it must be from {least} to {most}")));
        }
        let stored = self.made_plan(tenant, id, expected).await?;
        let (plan, stopwatch) = (stored.clone(), Arc::clone(self.stopwatch()));
        let searched = move || {
            let begin = stopwatch.now();
            let LivePlan { request, plan: before, kpis } = live(&plan, &plan.request)?;
            let progress = || stopwatch.now().micros_since(begin) as f64 / (seconds * 1e6);
            let budget = Budget { iterations: MAX_ITERATIONS, seed: plan.seed };
            let new = reoptimise(&request.problem, &before, stability_price, &budget, &progress)
                .map_err(failed("route planner"))?;
            let moved: Vec<String> = new.moved.iter().map(|&stop| task_name(&request, stop)).collect();
            let change = format!("reoptimised: {} of {} tasks changed their vehicle", moved.len(), plan.stops);
            let made = made(&request, &new.plan, plan.request.clone(), kpis, change);
            Ok((made, moved, before.cost, new.plan.cost, new.plan == before))
        };
        let (made, moved, cost_before, cost, same) = self.in_turn(searched).await?;
        let plan = if same { stored } else { self.commerce().change_route_plan(tenant, id, expected, made).await? };
        Ok(RouteReoptimisation { plan, moved, cost_before, cost })
    }

    /// The plan in version `expected`, where it is made.
    async fn made_plan(&self, tenant: TenantId, id: PlanId, expected: i64) -> Result<RoutePlan, EngineError> {
        let plan = self.commerce().route_plan(tenant, id).await?;
        if plan.version != expected {
            let (expected, found) = (expected.to_string(), Some(plan.version));
            return Err(CommerceError::StaleVersion { expected, found }.into());
        }
        match plan.state {
            RoutePlanState::Finished | RoutePlanState::Accepted => Ok(plan),
            state => {
                Err(EngineError::Conflict(format!("route plan {id} is {state}; a plan that is made can be changed")))
            }
        }
    }

    /// Does work of some milliseconds on a thread of its own, bounded in number as plans at once are.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let permit =
            self.route_permits().try_acquire_owned().map_err(|_| EngineError::Busy("route plans".to_owned()))?;
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(failed("route planner"))?
    }
}

/// The stored plan over `request`, which has the stored one's tasks and perhaps more; those are left out.
fn live(stored: &RoutePlan, request: &Json) -> Result<LivePlan, EngineError> {
    let request = parse(request.to_string().as_bytes())?;
    check_size(&request)?;
    let answer = stored.plan.as_ref().map(Json::to_string).unwrap_or_default();
    let plan = request.plan_of_response(answer.as_bytes()).map_err(failed("route plans"))?;
    let kpis = stored.figures.as_ref().and_then(|figures| serde_json::from_value(figures["kpis"].clone()).ok());
    Ok(LivePlan { request, plan, kpis })
}

fn made(request: &vroom::Request, plan: &Plan, json: Json, previous: Option<Kpis>, change: String) -> MadePlan {
    let figures = figures(request, plan, previous, Baselines::Skipped);
    MadePlan {
        request: json,
        stops: request.problem.stops().len() as u64,
        plan: request.response(plan),
        figures: json!(figures),
        change,
    }
}

/// An insertion that is not stored yet.
struct Inserted {
    made: MadePlan,
    vehicle: String,
    position: usize,
    added_cost: i64,
}

fn inserted(stored: &RoutePlan, order: RouteOrder) -> Result<Inserted, EngineError> {
    let (list, field, order) = match order {
        RouteOrder::Job(job) => ("jobs", "/job", job),
        RouteOrder::Shipment(shipment) => ("shipments", "/shipment", shipment),
    };
    let mut json = stored.request.clone();
    if !json[list].is_array() {
        json[list] = json!([]);
    }
    let items = json[list].as_array_mut().ok_or_else(|| EngineError::invalid("", "the plan's request is no object"))?;
    let index = items.len();
    items.push(order);
    let LivePlan { request, plan, kpis } =
        live(stored, &json).map_err(|error| renamed(error, &format!("/{list}/{index}"), field))?;
    let jobs = json["jobs"].as_array().map_or(0, Vec::len);
    let stop = if list == "jobs" { index } else { jobs + 2 * index };
    let task = task_name(&request, stop);
    let found = insert(&request.problem, &plan, stop).map_err(|error| EngineError::Conflict(error.to_string()))?;
    let Some(found) = found else { return Err(EngineError::Conflict(no_place(&request, plan, stop))) };
    let stops = found.steps.iter().filter(|step| matches!(step, Step::Stop(_)));
    let position = stops.take_while(|step| **step != Step::Stop(stop)).count() + 1;
    let change = format!("inserted {task}");
    Ok(Inserted {
        vehicle: request.problem.vehicles()[found.vehicle].id.clone(),
        position,
        added_cost: found.added_cost,
        made: made(&request, &found.plan, json, kpis, change),
    })
}

/// Why a task has no place, and what would make one.
fn no_place(request: &vroom::Request, mut plan: Plan, stop: usize) -> String {
    plan.unassigned.retain(|left| left.stop == stop);
    let task = task_name(request, stop);
    match explanations(request, &plan).pop() {
        Some(why) if !why.relaxation.is_empty() => {
            format!(
                "{task} has no place: {}; it would be served if you {}",
                why.reason_text,
                why.relaxation.join(" and ")
            )
        }
        Some(why) => format!("{task} has no place: {}", why.reason_text),
        None => format!("{task} has no place"),
    }
}

/// The error with its pointers into the whole request turned into those into the order.
fn renamed(error: EngineError, from: &str, to: &str) -> EngineError {
    match error {
        EngineError::Invalid(mut fields) => {
            for field in &mut fields {
                let inner = field.pointer.strip_prefix(from).map(str::to_owned);
                field.pointer = inner.map_or(to.to_owned(), |inner| format!("{to}{inner}"));
                field.message = field.message.replacen(from, to, 1);
            }
            EngineError::Invalid(fields)
        }
        other => other,
    }
}
