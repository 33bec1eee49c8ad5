//! What commerce promises on a database, each promise tried on SQLite and on PostgreSQL; HTTP is tested elsewhere.

mod auctions;
mod audit;
mod billing;
mod cases;
mod catalogue;
mod checkpoints;
mod deaths;
mod declarations;
mod faults;
mod feed;
mod fraud;
mod holds;
mod money;
mod pay_later;
mod persons;
mod prices;
mod product_files;
mod reorders;
mod returns;
mod route_plans;
mod sale_regions;
mod secrets;
mod server;
mod sessions;
mod shipments;
mod statements;
mod suppliers;
mod watches;
mod webhooks;
mod world;

use world::{Database, World};

fn run<F: Future<Output = ()>>(database: Database, case: impl FnOnce(World) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime starts").block_on(async { case(World::new(database).await).await });
}

macro_rules! on_both_databases {
    ($($group:ident { $($case:ident,)* })*) => {
        mod sqlite {
            $($(#[test] fn $case() { crate::run(crate::Database::Sqlite, crate::$group::$case); })*)*
        }
        mod postgres {
            $($(#[test] fn $case() { crate::run(crate::Database::Postgres, crate::$group::$case); })*)*
        }
    };
}

on_both_databases! {
    cases {
        a_checkout_makes_one_order_per_seller_a_payment_and_numbered_events,
        a_checkout_that_the_model_declines_commits_the_refusal_and_its_decision,
        a_checkout_whose_stock_is_gone_keeps_its_decision_as_aborted,
        a_declined_payment_cancels_the_orders_and_releases_the_stock,
        fifty_checkouts_for_the_last_unit_make_one_order,
        a_repeated_request_gets_the_saved_answer_and_another_body_is_refused,
        thirty_two_requests_with_one_key_make_one_order,
        a_process_that_dies_after_the_rail_answered_is_recovered_exactly_once,
        a_checkout_that_is_read_while_it_is_settled_is_whole,
        lost_and_late_answers_of_the_rail_are_settled_by_recovery,
        the_outbox_hands_over_every_event_and_repeats_it_with_its_id_until_it_is_marked,
        a_tenant_sees_and_changes_nothing_of_another,
        pages_hold_every_item_once,
        the_database_refuses_a_refund_above_the_capture_and_more_reserved_than_there_is,
        products_change_by_version_and_write_their_events,
        api_keys_are_found_by_the_hash_of_their_secret_until_they_are_revoked,
        decisions_and_servings_of_models_are_read_back,
        every_model_that_the_database_names_is_found_and_where,
        keys_of_the_version_before_the_split_grant_what_they_granted,
        of_keys_that_may_make_keys_one_stays_whoever_revokes_at_once,
    }
    catalogue {
        products_fit_into_the_category_tree_with_the_attributes_that_it_declares,
        a_tree_that_is_wrong_is_refused_where_it_is_wrong,
        no_product_ends_in_a_category_that_goes_at_the_same_time,
        a_product_waits_for_its_review_and_again_when_its_words_change,
        variants_of_a_group_differ_in_the_same_options_however_many_are_made_at_once,
    }
    statements {
        statements_tell_all_that_was_booked_and_each_begins_where_the_one_before_ended,
    }
    suppliers {
        a_supplier_shows_what_its_papers_show_until_they_run_out,
        papers_that_are_handed_in_at_once_are_all_kept_and_never_more_than_there_may_be,
    }
    billing {
        a_subscription_is_billed_renewed_once_and_ended_and_its_plan_makes_the_commission,
        a_free_plan_takes_twenty_orders_a_month_and_ten_products_however_many_ask_at_once,
        wherever_a_process_dies_each_invoice_is_made_and_booked_once,
    }
    prices {
        a_cart_is_priced_by_region_currency_quantity_and_date_and_its_order_keeps_the_price,
    }
    product_files {
        a_file_lists_changes_and_delists_products_once_and_its_export_changes_nothing,
        one_wrong_row_leaves_nothing_of_a_file_and_each_wrong_field_is_told_with_line_and_column,
        wherever_a_process_dies_a_file_is_taken_in_whole_and_told_of_once,
    }
    sale_regions {
        a_product_is_bought_where_its_rule_lets_it_be_sold_and_its_event_tells_the_rule,
    }
    money {
        a_payment_is_captured_refunded_and_voided_in_parts_with_its_books,
        more_than_there_is_another_currency_and_a_foreign_order_are_refused,
        a_payment_given_up_calls_its_orders_off_and_brings_their_stock_back,
        a_repeated_refund_gets_its_answer_and_a_lost_one_is_in_flight_until_it_is_found,
        the_news_of_a_transfer_counts_once_in_whatever_order_it_comes,
        a_message_of_the_rail_settles_a_checkout_that_waits_for_it,
        a_payment_in_crypto_is_quoted_until_it_comes_or_the_quote_runs_out,
        two_refunds_of_sixty_never_both_pass_on_a_capture_of_a_hundred,
        sixty_four_refunds_at_once_with_messages_of_the_rail_never_exceed_the_capture,
        sellers_are_paid_out_what_they_are_owed_and_no_more,
        a_commission_is_frozen_when_the_order_is_made_by_plan_and_sales_of_the_month_before,
        the_database_keeps_the_same_books_as_memory_for_random_batches,
        batches_of_a_thousand_entries_are_written_whole,
        a_thousand_checkouts_at_once_for_the_last_unit_make_one_order,
    }
    auctions {
        sixty_four_bidders_at_once_stand_as_the_reference_says_of_the_stored_bids,
        of_bids_and_purchases_at_once_one_kind_wins,
        a_winner_pays_what_was_bid_by_a_checkout_that_takes_the_unit_over,
        who_does_not_pay_is_passed_over_as_though_there_had_been_no_bid,
        a_payment_that_fails_or_is_declined_leaves_the_winner_the_time_that_is_left,
        an_auction_holds_its_unit_until_it_is_over_and_is_opened_once_for_a_key,
        wherever_a_process_dies_an_auction_is_bid_on_paid_and_told_of_once,
    }
    returns {
        a_return_is_brought_back_and_settled_in_parts_by_refund_and_credit_note,
        no_more_units_are_on_returns_than_were_bought,
        a_replacement_takes_its_units_once_and_refunds_the_difference,
        a_refund_that_the_rail_takes_back_opens_the_return_again,
        random_returns_and_settlements_equal_a_naive_reference,
        wherever_a_process_dies_a_return_is_counted_settled_and_told_of_once,
        a_lost_chargeback_labels_its_checkout_and_a_won_one_takes_the_label_back,
        a_dispute_is_answered_with_evidence_until_its_deadline,
        wherever_a_process_dies_a_dispute_moves_money_and_label_once,
        of_many_who_open_a_dispute_or_refund_at_once_no_cent_is_given_twice,
    }
    shipments {
        a_shipment_is_labelled_and_followed_until_its_order_is_fulfilled,
        no_more_units_are_shipped_than_are_due_and_one_key_ships_once,
        what_a_carrier_loses_delays_refuses_or_never_answers_is_found_out,
        a_carriers_messages_count_once_in_whatever_order_they_come,
        a_label_that_is_given_up_frees_its_units_unless_the_carrier_has_them,
        what_is_claimed_before_it_was_shipped_is_not_shipped_and_what_is_shipped_is_not_called_off,
        random_lives_of_shipments_equal_a_naive_reference,
        wherever_a_process_dies_a_shipment_is_counted_labelled_and_told_of_once,
    }
    declarations {
        a_declaration_is_submitted_with_its_papers_held_and_cleared,
        wherever_a_process_dies_a_declaration_moves_and_is_told_of_once,
    }
    pay_later {
        a_purchase_is_paid_by_its_schedule_and_its_seller_at_once,
        no_buyer_owes_more_than_the_limit_however_many_checkouts_come_at_once,
        what_fails_is_asked_for_again_then_late_then_written_off_and_found_again,
        a_charge_that_is_taken_back_is_owed_again_once,
        a_refund_lowers_the_last_instalments_and_what_was_paid_beyond_goes_back,
        a_checkout_that_is_refused_leaves_nothing_owed_and_nothing_held,
        what_is_held_for_review_is_charged_or_given_up_by_the_verdict,
        thirty_two_payments_with_one_key_charge_once,
        random_lives_equal_a_naive_reference,
        wherever_a_process_dies_an_agreement_is_charged_and_booked_once,
        plans_change_by_version_and_agreements_keep_theirs,
    }
    feed {
        a_change_that_commits_after_a_later_number_comes_after_it_in_the_feed,
        a_reader_misses_nothing_that_commits_late_while_many_write_and_relay,
        a_relay_that_dies_at_any_step_gives_each_event_one_place,
        a_page_holds_the_types_asked_for_and_an_old_or_foreign_cursor_is_told_so,
    }
    sessions {
        a_login_is_taken_once_in_time_whoever_takes_it_at_once,
        as_many_logins_as_may_be_are_under_way_and_one_more_ends_the_oldest,
        a_session_is_found_by_the_hash_of_its_secret_until_it_is_ended_and_a_person_has_a_bounded_number,
        the_audit_log_names_who_logged_in_and_out_and_finds_a_name_that_was_put_in_or_taken_out,
    }
    secrets {
        where_a_key_is_configured_no_secret_is_readable_in_the_database_and_messages_are_signed_as_before,
        a_sealed_secret_in_another_endpoints_row_or_another_tenants_or_changed_is_refused,
        a_new_key_takes_over_from_the_one_before_wherever_the_process_dies,
        a_start_without_the_key_of_a_stored_secret_is_refused_and_names_the_key,
    }
    webhooks {
        every_event_of_an_endpoints_types_is_delivered_whatever_dies_on_the_way,
        what_fails_is_tried_on_the_schedule_and_a_receiver_that_stays_away_is_disabled,
        one_receiver_that_is_far_behind_makes_no_other_wait_and_its_queue_is_bounded,
        deliveries_are_replayed_one_by_one_and_by_a_part_of_the_feed,
        a_tenant_has_a_bounded_number_of_endpoints_and_a_key_makes_one,
    }
    audit {
        each_change_has_its_row_and_what_was_undone_or_refused_has_none_with_it,
        rows_of_many_writers_make_one_chain_for_each_tenant,
        a_row_that_is_changed_removed_or_put_in_between_is_named,
    }
    watches {
        a_notice_that_many_processes_give_at_once_is_told_once,
        what_left_a_search_is_no_news_and_one_that_is_gone_or_full_tells_nothing,
        searches_that_are_saved_at_once_stay_within_a_buyers_bound,
        what_an_erased_person_waits_for_is_exported_before_and_gone_after,
    }
    persons {
        all_that_is_held_of_a_person_is_exported_and_nothing_of_others,
        an_erased_person_is_in_no_row_and_every_other_word_and_number_stays,
    }
    deaths {
        whatever_dies_and_is_lost_money_moves_exactly_once,
    }
    fraud {
        a_decision_for_review_opens_one_case_in_its_transaction,
        decisions_are_there_with_their_events_or_not_at_all_and_a_failed_batch_holds_up_nothing,
        a_thousand_reviewers_who_claim_at_once_get_different_cases,
        the_most_pressing_case_comes_first_and_a_claim_that_ran_out_is_free,
        a_verdict_given_twenty_times_at_once_writes_one_label,
        to_decline_a_large_amount_takes_a_second_person,
        a_card_number_gets_into_no_case,
        published_rules_are_read_back_and_changed_ones_are_noticed,
        list_changes_of_two_processes_are_numbered_without_gaps,
        decisions_of_a_span_are_read_in_order_with_what_reviewers_found,
        scores_of_a_span_are_read_newest_first_with_those_of_models_that_look_on,
        a_backtest_is_written_until_it_ended_and_the_last_ones_are_kept,
    }
    holds {
        an_order_for_review_waits_with_its_stock_until_a_person_approves_it,
        a_declined_order_gives_its_stock_back_and_its_amount_at_the_rail_once,
        a_verdict_before_the_rail_has_answered_counts_when_it_does,
        nobody_deciding_in_time_refuses_the_checkout_and_keeps_its_case,
        verdicts_and_recoveries_that_race_move_each_checkout_once,
    }
    route_plans {
        a_plan_is_queued_once_for_a_key_told_of_and_ended_once,
        an_accepted_plan_writes_its_stops_once_and_a_changed_one_is_accepted_again,
        the_last_plans_and_versions_are_kept_and_accepted_ones_stay,
    }
    reorders {
        a_proposal_is_approved_ordered_and_received_into_stock_once,
        a_newer_proposal_supersedes_the_one_that_waits,
        approvals_at_once_never_go_beyond_a_budget,
        what_is_dear_takes_several_people_one_of_them_named,
        a_budget_counts_its_own_day_week_and_month,
    }
}

#[tokio::test]
async fn an_absent_or_wrong_database_is_an_error_that_names_it() {
    let connect = async |url: &str| {
        let opened = dhow_store::Store::connect(url, dhow_store::StoreSettings::default()).await;
        opened.map(|_| ()).expect_err("there is no such database").to_string()
    };
    let error = connect("postgres://shop:secret@127.0.0.1:1/market").await;
    assert!(error.contains("PostgreSQL at 127.0.0.1:1/market") && !error.contains("secret"), "{error}");
    let error = connect("sqlite:///no/such/folder/shop.db").await;
    assert!(error.contains("/no/such/folder/shop.db"), "{error}");
    let error = connect("mysql://shop:secret@localhost/market").await;
    assert!(error.contains("sqlite nor postgres") && !error.contains("secret"), "{error}");
    assert!(connect("sqlite::memory:").await.contains("memory"));
}
