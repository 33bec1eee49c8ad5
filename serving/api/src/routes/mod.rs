//! The routes, one file for each kind of question; what each needs stands in the one table of `access`.

pub(crate) mod answers;
mod auctions;
mod audit;
mod billing;
mod categories;
mod checkouts;
mod customers;
mod customs;
mod customs_codes;
mod decisions;
mod declarations;
mod delivery_times;
mod disputes;
mod events;
mod experiments;
mod features;
mod feed;
mod forecast_quality;
mod forecasts;
mod fraud;
mod fraud_cases;
mod fraud_lists;
mod fraud_rules;
mod fraud_scores;
mod health;
pub(crate) mod inference;
mod keys;
mod ledger;
mod login;
mod model_trials;
mod models;
mod pay_later;
mod payments;
mod persons;
mod plans;
mod product_files;
mod products;
mod recommendations;
mod reorders;
mod returns;
pub(crate) mod route_plans;
mod sea;
mod search;
mod segment;
mod shipments;
mod sql;
mod statements;
mod suppliers;
mod texts;
mod trial_schemas;
mod trust;
mod watches;
mod webhooks;
mod what_if;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;
use crate::settings::INFER_BODY_BYTES_MAX;

/// All documented routes.
pub(crate) fn all() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(feed::get_events, events::post_events))
        .routes(routes!(segment::post_batch))
        .routes(routes!(recommendations::post_recommendations))
        .routes(routes!(recommendations::get_related))
        .routes(routes!(recommendations::post_bundles))
        .routes(routes!(experiments::get_experiment))
        .routes(routes!(fraud_scores::post_fraud_scores))
        .routes(routes!(fraud::get_fraud_decision))
        .routes(routes!(fraud::get_fraud_health))
        .routes(routes!(fraud_cases::get_cases))
        .routes(routes!(fraud_cases::post_next_claim))
        .routes(routes!(fraud_cases::get_case))
        .routes(routes!(fraud_cases::post_claim))
        .routes(routes!(fraud_cases::post_release))
        .routes(routes!(fraud_cases::post_note))
        .routes(routes!(fraud_cases::post_verdict))
        .routes(routes!(fraud_rules::get_rules, fraud_rules::put_rules))
        .routes(routes!(fraud_rules::post_publish))
        .routes(routes!(fraud_rules::post_rollback))
        .routes(routes!(fraud_rules::get_rule_log))
        .routes(routes!(fraud_rules::post_backtests))
        .routes(routes!(fraud_rules::get_backtest))
        .routes(routes!(fraud_rules::delete_backtest))
        .routes(routes!(trust::get_buyer_trust))
        .routes(routes!(trust::get_seller_trust))
        .routes(routes!(fraud_lists::get_list, fraud_lists::post_list, fraud_lists::delete_list))
        .routes(routes!(decisions::get_decisions))
        .routes(routes!(decisions::get_decision))
        .routes(routes!(customers::get_customer))
        .routes(routes!(customers::get_segments))
        .routes(routes!(delivery_times::post_delivery_times))
        .routes(routes!(forecasts::get_group_forecast))
        .routes(routes!(forecast_quality::get_forecast_accuracy))
        .routes(routes!(forecast_quality::get_forecast_regions))
        .routes(routes!(what_if::get_uplift))
        .routes(routes!(forecasts::get_forecast))
        .routes(routes!(forecasts::post_forecasts))
        .routes(routes!(what_if::get_elasticity))
        .routes(routes!(what_if::post_what_if))
        .routes(routes!(plans::post_routes))
        .routes(routes!(plans::post_optimization))
        .routes(routes!(plans::post_check))
        .routes(routes!(plans::post_explain))
        .routes(routes!(route_plans::get_route_plans, route_plans::post_route_plans))
        .routes(routes!(route_plans::get_route_plan, route_plans::delete_route_plan))
        .routes(routes!(route_plans::get_plan_events))
        .routes(routes!(route_plans::post_accept))
        .routes(routes!(route_plans::post_insert))
        .routes(routes!(route_plans::post_reoptimise))
        .routes(routes!(reorders::get_reorders, reorders::post_reorders))
        .routes(routes!(reorders::get_reorder))
        .routes(routes!(reorders::post_approve))
        .routes(routes!(reorders::post_reject))
        .routes(routes!(reorders::post_order))
        .routes(routes!(reorders::post_receive))
        .routes(routes!(reorders::get_budgets, reorders::put_budgets))
        .routes(routes!(products::get_products, products::post_products))
        .routes(routes!(product_files::post_product_import))
        .routes(routes!(product_files::get_product_export))
        .routes(routes!(products::get_product, products::put_product))
        .routes(routes!(products::get_stock, products::put_stock))
        .routes(routes!(checkouts::post_quotes))
        .routes(routes!(checkouts::post_checkouts))
        .routes(routes!(checkouts::get_checkout))
        .routes(routes!(checkouts::get_orders))
        .routes(routes!(checkouts::get_order))
        .routes(routes!(checkouts::get_timeline))
        .routes(routes!(returns::get_returns, returns::post_returns))
        .routes(routes!(returns::get_return))
        .routes(routes!(returns::post_return_steps))
        .routes(routes!(returns::post_settlements))
        .routes(routes!(pay_later::get_pay_later_plans))
        .routes(routes!(pay_later::put_pay_later_plan))
        .routes(routes!(pay_later::post_pay_later_eligibility))
        .routes(routes!(pay_later::get_agreements))
        .routes(routes!(pay_later::get_agreement))
        .routes(routes!(pay_later::post_agreement_payments))
        .routes(routes!(disputes::get_disputes, disputes::post_disputes))
        .routes(routes!(disputes::get_dispute))
        .routes(routes!(disputes::post_dispute_steps))
        .routes(routes!(customs::post_customs_quotes))
        .routes(routes!(customs_codes::post_customs_codes))
        .routes(routes!(declarations::get_declarations, declarations::post_declarations))
        .routes(routes!(declarations::get_declaration))
        .routes(routes!(declarations::post_declaration_steps))
        .routes(routes!(shipments::post_shipping_quotes))
        .routes(routes!(shipments::post_shipments))
        .routes(routes!(shipments::get_shipments))
        .routes(routes!(shipments::get_shipment))
        .routes(routes!(shipments::post_shipment_void))
        .routes(routes!(shipments::post_carrier_events))
        .routes(routes!(sea::get_sea_routes))
        .routes(routes!(sea::get_container))
        .routes(routes!(auctions::get_auctions, auctions::post_auctions))
        .routes(routes!(auctions::get_auction))
        .routes(routes!(auctions::get_auction_events))
        .routes(routes!(auctions::get_bids, auctions::post_bids))
        .routes(routes!(auctions::post_buy_now))
        .routes(routes!(auctions::post_auction_cancel))
        .routes(routes!(auctions::post_auction_checkout))
        .routes(routes!(payments::get_payment))
        .routes(routes!(payments::post_capture))
        .routes(routes!(payments::post_void))
        .routes(routes!(payments::post_refunds))
        .routes(routes!(payments::post_payouts))
        .routes(routes!(payments::get_transfers))
        .routes(routes!(payments::get_transfer))
        .routes(routes!(payments::get_seller_terms, payments::put_seller_terms))
        .routes(routes!(categories::get_categories, categories::put_categories))
        .routes(routes!(categories::post_product_reviews))
        .routes(routes!(products::get_variants))
        .routes(routes!(suppliers::get_suppliers))
        .routes(routes!(suppliers::get_supplier, suppliers::put_supplier))
        .routes(routes!(suppliers::post_documents))
        .routes(routes!(suppliers::post_submit))
        .routes(routes!(suppliers::post_supplier_decisions))
        .routes(routes!(billing::get_prices))
        .routes(routes!(billing::get_subscription, billing::put_subscription))
        .routes(routes!(billing::post_subscription_end))
        .routes(routes!(billing::post_usage))
        .routes(routes!(billing::get_invoices))
        .routes(routes!(payments::post_notice))
        .routes(routes!(statements::get_statement))
        .routes(routes!(statements::get_statement_lines))
        .routes(routes!(watches::get_saved_searches, watches::post_saved_searches))
        .routes(routes!(watches::get_saved_search, watches::delete_saved_search))
        .routes(routes!(watches::get_price_alerts, watches::post_price_alerts))
        .routes(routes!(watches::get_price_alert, watches::delete_price_alert))
        .routes(routes!(webhooks::get_webhook_endpoints, webhooks::post_webhook_endpoints))
        .routes(routes!(
            webhooks::get_webhook_endpoint,
            webhooks::put_webhook_endpoint,
            webhooks::delete_webhook_endpoint
        ))
        .routes(routes!(webhooks::post_rotate_secret))
        .routes(routes!(webhooks::post_webhook_test))
        .routes(routes!(webhooks::get_webhook_deliveries))
        .routes(routes!(webhooks::post_webhook_delivery_replay))
        .routes(routes!(webhooks::post_webhook_replay))
        .routes(routes!(ledger::get_trial_balance))
        .routes(routes!(ledger::get_journal))
        .routes(routes!(persons::get_export))
        .routes(routes!(persons::post_erase))
        .routes(routes!(persons::get_erasure))
        .routes(routes!(features::get_features))
        .routes(routes!(features::post_features))
        .routes(routes!(search::get_search))
        .routes(routes!(texts::post_text_similarity))
        .routes(routes!(sql::post_sql))
        .merge(of_inference())
        .routes(routes!(models::get_models))
        .routes(routes!(model_trials::get_trial, model_trials::put_trial, model_trials::delete_trial))
        .routes(routes!(model_trials::post_outcomes))
        .routes(routes!(models::get_status))
        .routes(routes!(login::get_login))
        .routes(routes!(login::get_login_callback))
        .routes(routes!(login::post_logout))
        .routes(routes!(keys::get_roles))
        .routes(routes!(keys::get_api_keys, keys::post_api_keys))
        .routes(routes!(keys::delete_api_key))
        .routes(routes!(audit::get_audit_log))
        .routes(routes!(audit::get_audit_verification))
        .routes(routes!(health::metrics))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::openapi_json))
}

/// The routes of the Open Inference Protocol; tensors may be larger than other bodies.
fn of_inference() -> OpenApiRouter<Shared> {
    let tensors = OpenApiRouter::default()
        .routes(routes!(inference::post_infer))
        .routes(routes!(inference::post_version_infer))
        .layer(DefaultBodyLimit::max(INFER_BODY_BYTES_MAX));
    OpenApiRouter::default()
        .merge(tensors)
        .routes(routes!(inference::get_server_metadata))
        .routes(routes!(inference::get_server_live))
        .routes(routes!(inference::get_server_ready))
        .routes(routes!(inference::get_all_statistics))
        .routes(routes!(inference::get_model_metadata))
        .routes(routes!(inference::get_version_metadata))
        .routes(routes!(inference::get_model_ready))
        .routes(routes!(inference::get_version_ready))
        .routes(routes!(inference::get_model_config))
        .routes(routes!(inference::get_version_config))
        .routes(routes!(inference::get_model_statistics))
        .routes(routes!(inference::get_version_statistics))
        .routes(routes!(inference::post_repository_index))
        .routes(routes!(inference::post_repository_load))
        .routes(routes!(inference::post_repository_unload))
}
