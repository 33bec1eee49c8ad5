//! Slates of recommendations: the champion with live state, available products only, every slate recorded.

use dhow_commerce::{DecisionKind, Reason};
use dhow_events::facts::SlateServed;
use dhow_events::{DecisionId, ProductId, TenantId};
use dhow_recommend::{RecommendError, Recommender, SlateRequest, Step};

use crate::decisions::Question;
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
}

impl Engine {
    /// What should this shopper see now?
    ///
    /// # Errors
    /// A request out of its bounds, or no recommender in force.
    pub async fn recommend(
        &self,
        tenant: TenantId,
        ask: RecommendAsk,
    ) -> Result<Answer<Vec<RecommendedProduct>>, EngineError> {
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
        let models = self.shared().champions.of(tenant);
        let champion = models.recommend.as_ref().ok_or(EngineError::NoModel { task: "recommend" })?;
        let catalogue = &self.shared().catalogue;
        let eligible = |product| catalogue.available(tenant, product);
        let slate = champion.model.recommend(&ask.slate, &eligible).map_err(invalid)?;
        let show = |item: &dhow_recommend::SlateItem| {
            let offer = catalogue.offer(tenant, item.product)?;
            let (product, score, step) = (item.product, item.score, item.step);
            Some(RecommendedProduct { product, offer, score, step, reason: item.reason, because: item.because })
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
            answer: serde_json::json!({ "step": step, "products": shown }),
            at: now,
        };
        let model = champion.label.to_string();
        let answer = Answer { value: products, model, decision, reasons, degraded: slate.degraded, latency_us };
        self.record_soon(answer.record(question), fact.into()).await?;
        Ok(answer)
    }

    /// Products that shoppers turn to after, or before, another; available ones only.
    ///
    /// # Errors
    /// No recommender in force, an unknown product, or a count out of its bounds.
    pub async fn related(
        &self,
        tenant: TenantId,
        product: ProductId,
        count: usize,
    ) -> Result<Answer<Vec<(ProductId, Offer, f64)>>, EngineError> {
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
        let models = self.shared().champions.of(tenant);
        let champion = models.recommend.as_ref().ok_or(EngineError::NoModel { task: "recommend" })?;
        let model = models.catalogue_model.as_ref().ok_or(EngineError::NoModel { task: "recommend" })?;
        let catalogue = &self.shared().catalogue;
        let eligible = |product| catalogue.available(tenant, product);
        let related = model.related(product, count, &eligible).map_err(invalid)?;
        let show = |item: &dhow_recommend::Related| {
            catalogue.offer(tenant, item.product).map(|offer| (item.product, offer, item.score))
        };
        let products: Vec<(ProductId, Offer, f64)> = related.iter().filter_map(show).collect();
        let latency_us = self.stopwatch().now().micros_since(begin);
        let decision = DecisionId::at(now, self.random());
        let text = format!("shoppers turned to these after, or before, {product}");
        let reasons = vec![Reason { code: "related".to_owned(), text, contribution: products.len() as f64 }];
        let shown: Vec<String> = products.iter().map(|(product, ..)| product.to_string()).collect();
        let fact = SlateServed {
            decision,
            buyer: None,
            session: None,
            surface: "related".to_owned(),
            model: format!("{}/related", champion.label),
            products: shown.join(","),
            degraded: false,
        };
        let question = Question {
            tenant,
            kind: DecisionKind::Recommendation,
            subject: product.to_string(),
            request: serde_json::json!({ "surface": "related", "product": product, "count": count }),
            answer: serde_json::json!({ "step": "related", "products": shown }),
            at: now,
        };
        let model = champion.label.to_string();
        let answer = Answer { value: products, model, decision, reasons, degraded: false, latency_us };
        self.record_soon(answer.record(question), fact.into()).await?;
        Ok(answer)
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
        RecommendError::UnknownProduct(product) => {
            return EngineError::NotFound(format!("product {product} in the model"));
        }
    };
    EngineError::invalid(pointer, error.to_string())
}
