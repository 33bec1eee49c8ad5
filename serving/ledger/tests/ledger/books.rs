//! Random batches against books that are added up anew from the journal, and the rules one by one.

use std::collections::BTreeMap;

use arrow::util::display::array_value_to_string;
use dhow_events::{TenantId, Timestamp};
use dhow_ledger::{
    Account, AccountKind, Applied, Asset, Balance, Batch, BatchError, BatchId, Entry, Ledger, LedgerError, Move, Side,
    journal_csv, journal_parquet,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

const USD: &str = "USD";

fn asset(code: &str) -> Asset {
    code.parse().unwrap()
}

fn account(text: &str) -> Account {
    text.parse().unwrap()
}

fn batch(id: u128, at: i64, does: Move) -> Batch {
    Batch {
        id: BatchId(id),
        tenant: TenantId::default(),
        at: Timestamp::from_micros(at),
        purpose: "capture".to_owned(),
        reference: "ord_1".to_owned(),
        does,
    }
}

fn moved(from: &str, to: &str, amount: i64) -> Vec<Entry> {
    vec![Entry::debit(account(from), asset(USD), amount), Entry::credit(account(to), asset(USD), amount)]
}

/// Every balance added up from the journal, batch by batch, with nothing kept between them.
fn recounted(journal: &[Batch]) -> BTreeMap<(Account, Asset), Balance> {
    let mut balances: BTreeMap<(Account, Asset), Balance> = BTreeMap::new();
    let ended = |id: BatchId| {
        journal.iter().find_map(|batch| match &batch.does {
            Move::PostPending(of) if *of == id => Some(true),
            Move::VoidPending(of) | Move::ExpirePending(of) if *of == id => Some(false),
            _ => None,
        })
    };
    for batch in journal {
        let (posted, waits) = match (&batch.does, ended(batch.id)) {
            (Move::Post(_), _) | (Move::Pend { .. }, Some(true)) => (true, false),
            (Move::Pend { .. }, None) => (false, true),
            _ => (false, false),
        };
        for entry in batch.entries() {
            let balance = balances.entry((entry.account.clone(), entry.asset)).or_default();
            let (debit, credit) = (entry.amount.max(0), (-entry.amount).max(0));
            if posted {
                balance.debits += debit;
                balance.credits += credit;
            }
            if waits {
                balance.debits_pending += debit;
                balance.credits_pending += credit;
            }
        }
    }
    balances
}

/// A random step: entries over a few accounts and assets, or the end of some earlier batch.
#[derive(Debug, Clone)]
struct Step {
    kind: u8,
    accounts: (usize, usize, usize),
    asset: usize,
    amounts: (i64, i64),
    of: usize,
    after: i64,
}

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..10_u8,
        (0..8_usize, 0..8_usize, 0..8_usize),
        0..3_usize,
        (1..500_i64, 1..500_i64),
        any::<usize>(),
        0..40_i64,
    );
    let step =
        step.prop_map(|(kind, accounts, asset, amounts, of, after)| Step { kind, accounts, asset, amounts, of, after });
    prop::collection::vec(step, count..count + 1)
}

fn run(steps: &[Step]) -> (Ledger, usize) {
    let names =
        ["clearing:card", "buyer:b1", "buyer:b2", "seller:s1", "payout:s1", "commission", "refunds", "pay_later:b1"];
    let assets = [USD, "JPY", "BTC"];
    let (mut ledger, mut refused, mut now) = (Ledger::default(), 0, 0);
    for (number, step) in steps.iter().enumerate() {
        now += step.after;
        let (first, second, third) = step.accounts;
        let asset = asset(assets[step.asset]);
        let (one, two) = step.amounts;
        let entries = vec![
            Entry::debit(account(names[first]), asset, one + two),
            Entry::credit(account(names[second]), asset, one),
            Entry::credit(account(names[third]), asset, two),
        ];
        let of = BatchId(if number == 0 { 0 } else { (step.of % number) as u128 });
        let does = match step.kind {
            0..=3 => Move::Post(entries),
            4..=6 => Move::Pend { entries, expires_at: Timestamp::from_micros(now + 100) },
            7 => Move::PostPending(of),
            8 => Move::VoidPending(of),
            _ => Move::ExpirePending(of),
        };
        let before = ledger.clone();
        let batch = batch(number as u128, now, does);
        match ledger.apply(batch.clone()) {
            Ok(_) => assert_eq!(ledger.apply(batch), Ok(Applied::Already), "sent again, it writes nothing more"),
            Err(_) => {
                refused += 1;
                assert_eq!(ledger.journal(), before.journal());
                assert_eq!(ledger.balances(), before.balances(), "a refused batch leaves no trace");
            }
        }
    }
    (ledger, refused)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn balances_are_those_of_the_journal_and_every_asset_sums_to_zero(steps in steps(300)) {
        let (ledger, refused) = run(&steps);
        let mut recounted = recounted(ledger.journal());
        let mut kept = ledger.balances().clone();
        for balances in [&mut recounted, &mut kept] {
            balances.retain(|_, balance| *balance != Balance::default());
        }
        prop_assert_eq!(kept, recounted);
        let trial = ledger.trial_balance();
        prop_assert!(trial.is_balanced(), "{:?}", trial.sums);
        prop_assert!(refused > 0 && refused < steps.len(), "some steps pass and some are refused: {refused}");
        for ((account, asset), balance) in ledger.balances() {
            if account.kind().stays_above_zero() {
                prop_assert!(balance.available(account.kind().side()) >= 0, "{account} in {asset}: {balance:?}");
            }
        }
    }
}

#[test]
fn a_batch_that_does_not_sum_to_zero_in_each_asset_is_refused_by_the_asset() {
    let mut ledger = Ledger::default();
    let entries = vec![
        Entry::debit(account("clearing:card"), asset(USD), 100),
        Entry::credit(account("seller:s1"), asset("EUR"), 100),
    ];
    let refused = ledger.apply(batch(1, 0, Move::Post(entries))).unwrap_err();
    assert!(matches!(refused, LedgerError::Batch(BatchError::Unbalanced { .. })), "{refused}");
    assert_eq!(refused.to_string(), "the entries in EUR sum to -100, not to zero");
    let alone = vec![Entry::debit(account("clearing:card"), asset(USD), 100)];
    assert_eq!(ledger.apply(batch(2, 0, Move::Post(alone))), Err(BatchError::Length(1).into()));
}

#[test]
fn of_two_payouts_that_race_for_one_balance_the_second_is_refused_while_the_first_waits() {
    let mut ledger = Ledger::default();
    ledger.apply(batch(1, 0, Move::Post(moved("clearing:card", "buyer:b1", 100)))).unwrap();
    let until = Timestamp::from_micros(50);
    let payout = |id| batch(id, 10, Move::Pend { entries: moved("buyer:b1", "clearing:bank", 60), expires_at: until });
    ledger.apply(payout(2)).unwrap();
    let refused = ledger.apply(payout(3)).unwrap_err();
    assert_eq!(refused.to_string(), "buyer:b1 has 40 USD to give; the batch takes 60");
    // The first expires, and its 60 are there again.
    let early = ledger.apply(batch(4, 49, Move::ExpirePending(BatchId(2)))).unwrap_err();
    assert!(early.to_string().contains("not expire yet"), "{early}");
    ledger.apply(batch(5, 50, Move::ExpirePending(BatchId(2)))).unwrap();
    ledger.apply(batch(6, 60, Move::Post(moved("buyer:b1", "clearing:bank", 100)))).unwrap();
    assert_eq!(ledger.balance(&account("buyer:b1"), asset(USD)).posted(Side::Credit), 0);
}

#[test]
fn a_pending_batch_ends_once_and_in_time() {
    let mut ledger = Ledger::default();
    let until = Timestamp::from_micros(50);
    ledger
        .apply(batch(1, 0, Move::Pend { entries: moved("clearing:card", "seller:s1", 7), expires_at: until }))
        .unwrap();
    assert_eq!(ledger.balance(&account("seller:s1"), asset(USD)).posted(Side::Credit), 0);
    let late = ledger.apply(batch(2, 50, Move::PostPending(BatchId(1)))).unwrap_err();
    assert!(late.to_string().contains("only expire"), "{late}");
    ledger.apply(batch(3, 49, Move::PostPending(BatchId(1)))).unwrap();
    assert_eq!(ledger.balance(&account("seller:s1"), asset(USD)).posted(Side::Credit), 7);
    for does in [Move::VoidPending(BatchId(1)), Move::PostPending(BatchId(1)), Move::VoidPending(BatchId(99))] {
        assert!(matches!(ledger.apply(batch(4, 49, does)), Err(LedgerError::NotPending(_))));
    }
}

#[test]
fn an_id_that_comes_with_another_content_is_refused() {
    let mut ledger = Ledger::default();
    ledger.apply(batch(1, 0, Move::Post(moved("clearing:card", "seller:s1", 7)))).unwrap();
    let other = batch(1, 0, Move::Post(moved("clearing:card", "seller:s1", 8)));
    assert_eq!(ledger.apply(other), Err(LedgerError::Different(BatchId(1))));
}

#[test]
fn a_reversal_takes_a_batch_back_and_both_stay_in_the_journal() {
    let mut ledger = Ledger::default();
    let sale = batch(1, 0, Move::Post(moved("clearing:card", "seller:s1", 7)));
    ledger.apply(sale.clone()).unwrap();
    ledger.apply(sale.reversal(BatchId(2), Timestamp::from_micros(5))).unwrap();
    assert_eq!(ledger.balance(&account("seller:s1"), asset(USD)).posted(Side::Credit), 0);
    assert_eq!(ledger.journal().len(), 2);
}

#[test]
fn totals_beyond_64_bits_are_refused_not_wrapped() {
    let mut ledger = Ledger::default();
    ledger.apply(batch(1, 0, Move::Post(moved("clearing:card", "seller:s1", i64::MAX)))).unwrap();
    let refused = ledger.apply(batch(2, 0, Move::Post(moved("clearing:card", "seller:s1", 1)))).unwrap_err();
    assert!(matches!(refused, LedgerError::Overflow { .. }), "{refused}");
}

#[test]
fn the_journal_is_csv_with_a_line_for_each_entry() {
    let mut sale = batch(1, 0, Move::Post(moved("clearing:card", "seller:s1", 1_234)));
    sale.reference = "=cmd, \"x\"".to_owned();
    let ended = batch(2, 1_000_000, Move::VoidPending(BatchId(1)));
    assert_eq!(
        journal_csv([&sale, &ended]),
        "batch,at,purpose,reference,move,account,asset,debit,credit\n\
         00000000000000000000000000000001,1970-01-01T00:00:00Z,capture,\"'=cmd, \"\"x\"\"\",post,clearing:card,USD,12.34,\n\
         00000000000000000000000000000001,1970-01-01T00:00:00Z,capture,\"'=cmd, \"\"x\"\"\",post,seller:s1,USD,,12.34\n\
         00000000000000000000000000000002,1970-01-01T00:00:01Z,capture,ord_1,void_pending of 00000000000000000000000000000001,,,,\n"
    );
}

#[test]
fn the_journal_as_parquet_has_what_the_csv_has_in_exact_units() {
    let sale = batch(1, 0, Move::Post(moved("clearing:card", "seller:s1", 1_234)));
    let ended = batch(2, 1_000_000, Move::VoidPending(BatchId(1)));
    let file = bytes::Bytes::from(journal_parquet([&sale, &ended]).unwrap());
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let table = reader.next().unwrap().unwrap();
    assert!(reader.next().is_none());
    let header: Vec<&str> = table.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    let names = "batch at purpose reference move of_batch account asset decimals debit_minor credit_minor";
    assert_eq!(header, names.split(' ').collect::<Vec<_>>());
    let row = |row: usize| -> Vec<String> {
        table.columns().iter().map(|column| array_value_to_string(column, row).unwrap()).collect()
    };
    let (one, two) = (format!("{:032x}", 1), format!("{:032x}", 2));
    let (began, later) = ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z");
    assert_eq!(row(0), [&one, began, "capture", "ord_1", "post", "", "clearing:card", "USD", "2", "1234", ""]);
    assert_eq!(row(1), [&one, began, "capture", "ord_1", "post", "", "seller:s1", "USD", "2", "", "1234"]);
    assert_eq!(row(2), [&two, later, "capture", "ord_1", "void_pending", &one, "", "", "", "", ""]);
    assert_eq!(table.num_rows(), 3);
    assert!(journal_parquet([]).is_ok(), "an empty journal is a file without rows");
}

#[test]
fn accounts_are_read_as_they_are_written_and_odd_owners_are_refused() {
    for kind in AccountKind::all() {
        for account in [Account::own(kind), Account::of(kind, "sel_01-a.b").unwrap()] {
            assert_eq!(account.to_string().parse::<Account>(), Ok(account));
        }
    }
    for text in ["seller:", "seller:a:b", "seller:a b", "vault", "", "seller:ü"] {
        assert!(text.parse::<Account>().is_err(), "{text}");
    }
}
