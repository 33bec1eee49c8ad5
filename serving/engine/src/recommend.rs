//! Slates of recommendations: the champion with live state, available products only, every slate recorded.

use dhow_bundles::KitRules;
use dhow_commerce::{DecisionKind, Reason};
use dhow_events::facts::SlateServed;
use dhow_events::{DecisionId, ProductId, Region, TenantId, Timestamp};
use dhow_ranking::Kind;
use dhow_recommend::{Complement, RecommendError, Recommender, Seen, Slate, SlateItem, SlateRequest, Step};

use crate::decisions::Question;
use crate::storefront::{ArmRecommender, Storefront, Treatment};
use crate::{Answer, Engine, EngineError, Offer};

/// A question for a slate.
#[derive(Debug, Clone, PartialEq)]
pub struct RecommendAsk {
    /// The recommender's part of the question.
    pub slate: SlateRequest,
}

/// One product of a slate with what a storefront shows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecommendedProduct {
    /// The product.
    pub product: ProductId,
    /// What is on offer.
    pub offer: Offer,
    /// How strongly it is recommended; comparable within a step.
    pub score: f64,
    /// The step that brought it.
    pub step: Step,
    /// Why, as a stable code.
    pub reason: dhow_recommend::Reason,
    /// The shopper's product that spoke for it most, if one did.
    pub because: Option<ProductId>,
    /// Whether it stands here by its score, was paid for, or is tried out.
    pub kind: Kind,
    /// The probability with which it was put here.
    pub propensity: f64,
}

/// A question for a starter kit.
#[derive(Debug, Clone, Copy)]
pub struct BundleAsk {
    /// The product that the kit is around.
    pub product: ProductId,
    /// Where the shopper is.
    pub region: Option<Region>,
    /// How large and how varied it is.
    pub rules: KitRules,
}

/// A product of a kit.
#[derive(Debug, Clone, PartialEq)]
pub struct BundledProduct {
    /// The product and how it goes with the first.
    pub complement: Complement,
    /// What is on offer.
    pub offer: Offer,
}

/// A slate as a storefront shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecommendedSlate {
    /// The products, best first.
    pub products: Vec<RecommendedProduct>,
    /// The experiment and the arm that the shopper is in, `experiment/arm`, where one runs.
    pub arm: Option<String>,
}

/// A list of products around another, to be recorded.
struct ProductList {
    surface: &'static str,
    subject: ProductId,
    reason: Reason,
    request: serde_json::Value,
    answer: serde_json::Value,
    /// Their ids, joined by commas.
    products: String,
    at: Timestamp,
    latency_us: i64,
}

impl Engine {
    /// What should this shopper see now?
    ///
    /// # Errors
    /// A request out of its bounds, or no recommender in force.
    pub async fn recommend(
        &self,
        tenant: TenantId,
        mut ask: RecommendAsk,
    ) -> Result<Answer<RecommendedSlate>, EngineError> {
        // Who was erased is somebody unknown.
        ask.slate.person = ask.slate.person.filter(|person| !self.is_erased(tenant, *person));
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
        let models = self.shared().champions.of(tenant);
        let champion = models.recommend.as_ref().ok_or(EngineError::NoModel { task: "recommend" })?;
        let shopper = ask.slate.person.map(|b| b.as_u128()).or(ask.slate.session.map(|s| s.as_u128()));
        let storefront = self.storefront();
        let treatment = storefront.treatment(shopper);
        let request = self.arranged(&ask.slate, &storefront, &treatment);
        let catalogue = &self.shared().catalogue;
        let eligible = |product| catalogue.available(tenant, product, ask.slate.region);
        let mut slate = champion.model.recommend(&request, &eligible).map_err(invalid)?;
        charge(&storefront, &mut slate);
        let show = |item: &SlateItem| {
            let offer = catalogue.offer(tenant, item.product)?;
            let &SlateItem { product, score, step, reason, because, kind, propensity } = item;
            Some(RecommendedProduct { product, offer, score, step, reason, because, kind, propensity })
        };
        let products: Vec<RecommendedProduct> = slate.items.iter().filter_map(show).collect();
        let latency_us = self.stopwatch().now().micros_since(begin);
        let decision = DecisionId::at(now, self.random());
        let step = slate.answered_by().map_or_else(|| "nothing_eligible".to_owned(), |step| word(&step));
        let reasons: Vec<Reason> = slate
            .steps
            .iter()
            .map(|count| {
                let text = format!("{} of {} products by this step", count.items, slate.items.len());
                Reason { code: word(&count.step), text, contribution: count.items as f64 }
            })
            .collect();
        let shown: Vec<String> = products.iter().map(|product| product.product.to_string()).collect();
        let fact = SlateServed {
            decision,
            buyer: ask.slate.person,
            session: ask.slate.session,
            surface: word(&ask.slate.surface),
            model: format!("{}/{step}", champion.label),
            products: shown.join(","),
            degraded: slate.degraded,
            kinds: Some(joined(products.iter().map(|product| kind_word(product.kind)))),
            propensities: Some(joined(products.iter().map(|product| product.propensity))),
            arm: treatment.arm.clone(),
        };
        let subject = match (ask.slate.person, ask.slate.session) {
            (Some(buyer), _) => buyer.to_string(),
            (None, Some(session)) => session.to_string(),
            (None, None) => "anonymous".to_owned(),
        };
        let question = Question {
            tenant,
            kind: DecisionKind::Recommendation,
            subject,
            request: serde_json::json!({ "surface": fact.surface, "count": ask.slate.count, "session_items": ask.slate.session_items }),
            answer: serde_json::json!({
                "step": step, "products": shown, "kinds": fact.kinds, "propensities": fact.propensities, "arm": fact.arm,
            }),
            at: now,
        };
        let model = champion.label.to_string();
        let value = RecommendedSlate { products, arm: treatment.arm };
        let answer = Answer { value, model, decision, reasons, degraded: slate.degraded, latency_us };
        self.record_soon(answer.record(question), fact.into()).await?;
        Ok(answer)
    }

    /// The request as the storefront's settings and the shopper's arm make it.
    fn arranged(&self, asked: &SlateRequest, storefront: &Storefront, treatment: &Treatment<'_>) -> SlateRequest {
        let mut request = asked.clone();
        request.policy = treatment.policy.clone();
        request.seed = self.random() as u64;
        if request.policy.sponsorship.is_some() {
            request.offers = storefront.offers();
        }
        if treatment.recommender == ArmRecommender::Popular {
            // What the shopper is known for is not used; the current product stays hidden.
            request.exclude.extend(request.session_items.last().filter(|_| request.seen != Seen::Show));
            (request.person, request.session) = (None, None);
            request.session_items.clear();
            request.person_history.clear();
        }
        request
    }

    /// Products that shoppers turn to after, or before, another; those alone that can be bought now in `region`.
    ///
    /// # Errors
    /// No recommender in force, an unknown product, or a count out of its bounds.
    pub async fn related(
        &self,
        tenant: TenantId,
        product: ProductId,
        region: Option<Region>,
        count: usize,
    ) -> Result<Answer<Vec<(ProductId, Offer, f64)>>, EngineError> {
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
        let models = self.shared().champions.of(tenant);
        let champion = models.recommend.as_ref().ok_or(EngineError::NoModel { task: "recommend" })?;
        let model = models.catalogue_model.as_ref().ok_or(EngineError::NoModel { task: "recommend" })?;
        let catalogue = &self.shared().catalogue;
        let eligible = |product| catalogue.available(tenant, product, region);
        let related = model.related(product, count, &eligible).map_err(invalid)?;
        let show = |item: &dhow_recommend::Related| {
            catalogue.offer(tenant, item.product).map(|offer| (item.product, offer, item.score))
        };
        let products: Vec<(ProductId, Offer, f64)> = related.iter().filter_map(show).collect();
        let shown: Vec<String> = products.iter().map(|(product, ..)| product.to_string()).collect();
        let list = ProductList {
            surface: "related",
            subject: product,
            reason: Reason {
                code: "related".to_owned(),
                text: format!("shoppers turned to these after, or before, {product}"),
                contribution: products.len() as f64,
            },
            request: serde_json::json!({ "surface": "related", "product": product, "region": region, "count": count }),
            answer: serde_json::json!({ "step": "related", "products": shown }),
            products: shown.join(","),
            at: now,
            latency_us: self.stopwatch().now().micros_since(begin),
        };
        self.record_list(tenant, &champion.label, list, products).await
    }

    /// A starter kit: available products that complete another, as they were bought in one basket with it.
    ///
    /// # Errors
    /// No recommender in force, an unknown product, or rules out of their ranges.
    pub async fn bundle(&self, tenant: TenantId, ask: BundleAsk) -> Result<Answer<Vec<BundledProduct>>, EngineError> {
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
        let models = self.shared().champions.of(tenant);
        let champion = models.recommend.as_ref().ok_or(EngineError::NoModel { task: "recommend" })?;
        let model = models.catalogue_model.as_ref().ok_or(EngineError::NoModel { task: "recommend" })?;
        let catalogue = &self.shared().catalogue;
        let eligible = |product| catalogue.available(tenant, product, ask.region);
        let kit = model.kit(ask.product, ask.region, ask.rules, &eligible).map_err(invalid)?;
        let show = |complement: &Complement| {
            let offer = catalogue.offer(tenant, complement.product)?;
            Some(BundledProduct { complement: *complement, offer })
        };
        let products: Vec<BundledProduct> = kit.iter().filter_map(show).collect();
        let shown: Vec<String> = products.iter().map(|product| product.complement.product.to_string()).collect();
        let list = ProductList {
            surface: "bundle",
            subject: ask.product,
            reason: Reason {
                code: "bought_together".to_owned(),
                text: format!("bought in one basket with {} more often than by chance", ask.product),
                contribution: products.len() as f64,
            },
            request: serde_json::json!({ "surface": "bundle", "product": ask.product, "region": ask.region }),
            answer: serde_json::json!({ "products": shown }),
            products: shown.join(","),
            at: now,
            latency_us: self.stopwatch().now().micros_since(begin),
        };
        self.record_list(tenant, &champion.label, list, products).await
    }

    /// Records a list of products around another as a slate that nobody in particular was served.
    async fn record_list<T>(
        &self,
        tenant: TenantId,
        champion: &str,
        list: ProductList,
        value: T,
    ) -> Result<Answer<T>, EngineError> {
        let ProductList { surface, subject, reason, request, answer, products, at, latency_us } = list;
        let decision = DecisionId::at(at, self.random());
        let fact = SlateServed {
            decision,
            buyer: None,
            session: None,
            surface: surface.to_owned(),
            model: format!("{champion}/{surface}"),
            products,
            degraded: false,
            kinds: None,
            propensities: None,
            arm: None,
        };
        let question =
            Question { tenant, kind: DecisionKind::Recommendation, subject: subject.to_string(), request, answer, at };
        let model = champion.to_owned();
        let answer = Answer { value, model, decision, reasons: vec![reason], degraded: false, latency_us };
        self.record_soon(answer.record(question), fact.into()).await?;
        Ok(answer)
    }
}

/// Books the sponsored places; one that another slate left no budget for is taken out.
fn charge(storefront: &Storefront, slate: &mut Slate) {
    slate.items.retain(|item| match item.kind {
        Kind::Sponsored { campaign, cost_minor } => storefront.charge(campaign, cost_minor),
        Kind::Organic | Kind::Exploration => true,
    });
}

fn joined<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

/// The word for why a product stands where it does.
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Organic => "organic",
        Kind::Sponsored { .. } => "sponsored",
        Kind::Exploration => "exploration",
    }
}

/// The word that a value is written as in JSON.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

fn invalid(error: RecommendError) -> EngineError {
    let pointer = match error {
        RecommendError::Count(_) => "/count",
        RecommendError::PriceBand { .. } => "/price_band",
        RecommendError::TooManyExcluded(_) => "/exclude",
        RecommendError::SellerLimit => "/max_per_seller",
        RecommendError::CategoryLimit => "/max_per_category",
        RecommendError::Kit(_) => "/complements",
        RecommendError::Arrangement(_) | RecommendError::Tastes(_) | RecommendError::Visits(_) => {
            return EngineError::Failed { part: "recommender", reason: error.to_string() };
        }
        RecommendError::UnknownProduct(product) => {
            return EngineError::NotFound(format!("product {product} in the model"));
        }
    };
    EngineError::invalid(pointer, error.to_string())
}
