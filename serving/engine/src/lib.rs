//! The running platform: log, stream worker, online features, champions, outbox relay; it answers in its own types and knows no HTTP.
//!
//! [`Engine::open`] restores what the data folder holds and starts the stream worker; [`Engine::spawn_tasks`] keeps the
//! outbox, the decision writer and payment recovery going until it is told to stop. Each kind of question has a file of
//! its own: [`recommend`](Engine::recommend), [`score_checkout`](Engine::score_checkout), [`buyer_trust`](Engine::buyer_trust), [`forecast`](Engine::forecast),
//! [`plan_routes`](Engine::plan_routes), [`similar_texts`](Engine::similar_texts), [`search`](Engine::search).

mod answer;
mod answered;
mod backtests;
mod calibration;
mod catalogue;
mod champions;
mod codes;
mod customers;
mod cuts;
mod decisions;
mod deliveries;
mod delivery;
mod engine;
mod error;
mod experiments;
mod feature_table;
mod features;
mod forecast;
mod fraud;
mod fraud_health;
mod fraud_rules;
mod freshness;
mod inference;
mod link_parity;
mod links;
mod live_routes;
mod log_place;
mod monitor;
mod persons;
mod priority;
mod promotions;
mod recommend;
mod reorders;
mod risk;
mod route_plans;
mod routes;
mod sea;
mod search;
mod shipping;
mod similar;
mod sink;
mod status;
mod storefront;
mod tasks;
mod trust;
mod watches;
mod webhooks;
mod what_if;

pub use answer::Answer;
pub use answered::{AnswerFigures, COUNTED_MODELS_MAX, LatencyHistogram, TaskAnswers};
pub use calibration::ModelCalibration;
pub use catalogue::{Catalogue, Offer};
pub use champions::{Champion, Champions};
pub use codes::{CODE_GUESSES_MAX, CODE_TEXTS_MAX, CodeGuess, CodeSuggestion, CodesReading};
pub use customers::{CustomerReading, GroupReading, GroupsReading};
pub use decisions::DECISION_QUEUE_MAX;
pub use delivery::{DeliveryAsk, DeliveryTime};
pub use dhow_delivery::{Parcel, Promise, PromiseCosts, Stage};
pub use dhow_effects::{
    CalendarEvent, Comparison, Estimate, Outcome, PriceResponse, PromotionResponse, Scope, Spread, Uplift,
};
pub use dhow_forecast::{Accuracy, SeriesKey, Subject};
pub use dhow_fraud::{Badge, RiskFlag, TrustFactor, TrustPart, TrustScore};
pub use dhow_reorder::Service;
pub use dhow_search::{Correction, FacetCount, Facets, FacetsAsked, Filters, Hit};
pub use engine::{Engine, EngineSettings, Folders};
pub use error::EngineError;
pub use experiments::{ArmTotals, ExperimentReport};
pub use feature_table::{FEATURE_VALUES_MAX, FeatureAsk, FeatureRow, FeatureTable};
pub use features::{FeatureReading, ViewReading};
pub use forecast::{ForecastAccuracy, ForecastAsk, ForecastDay, GroupForecast, RegionDemand};
pub use fraud::FraudDesk;
pub use fraud_health::{Contest, FraudHealth, FraudWeek, HEALTH_DECISIONS_MAX, HEALTH_WEEKS_MAX, ScoreQuality};
pub use fraud_rules::RulesInForce;
pub use freshness::Quantiles;
pub use link_parity::{ServedLinks, check_links, served_links};
pub use live_routes::{REOPTIMISE_SECONDS, RouteInsertion, RouteOrder, RouteReoptimisation};
pub use log_place::LogPlace;
pub use monitor::{DriftCheck, DriftedFeature, FeatureHealth, MonitorSettings, served_vectors};
pub use persons::{ExportPart, ExportPlace};
pub use recommend::{BundleAsk, BundledProduct, RecommendAsk, RecommendedProduct, RecommendedSlate, kind_word};
pub use reorders::{PROTECTION_DAYS_MAX, ReorderItem, Reorders};
pub use risk::RiskQuestion;
pub use route_plans::{PLAN_SECONDS, PLAN_STOPS_MAX, RoutePlanAsk};
pub use routes::{
    ROUTE_STOPS_MAX, ROUTE_TIME_MAX_MICROS, RouteAnswer, RouteCheck, RouteFigures, TaskArrival, TaskExplanation,
};
pub use sea::{Port, SeaChart};
pub use search::{FoundProducts, SearchAsk, SearchMode};
pub use shipping::{CarrierSettings, ShippingAsk};
pub use similar::{SIMILAR_TEXTS_MAX, SimilarText};
pub use status::Status;
pub use storefront::{ArmRecommender, ArmSettings, Campaign, ExperimentSettings, MAX_CAMPAIGNS, StorefrontSettings};
pub use tasks::TasksEnd;
pub use trust::TrustReading;
pub use what_if::{ProductResponses, WhatIf, WhatIfAnswer};
