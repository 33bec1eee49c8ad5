//! The promise about sellers' statements; `main` runs it on both databases.

use std::collections::BTreeMap;

use dhow_commerce::*;
use dhow_events::*;
use dhow_ledger::Batch;

use crate::money::{books, bought, change, seller};
use crate::world::*;

/// The seller's lines, by hand: what each batch of the journal changed of the account, and the commission of the shares of
/// the transfer that it is about.
async fn by_hand(world: &World, journal: &[Batch], id: u128) -> Vec<(Timestamp, String, i64, i64)> {
    let account = seller(id);
    let mut lines = Vec::new();
    for batch in journal {
        let own = batch.entries().iter().filter(|entry| entry.account.to_string() == account);
        let net: i64 = own.map(|entry| -entry.amount).sum();
        if net == 0 {
            continue;
        }
        let mut commission = 0;
        if let Ok(transfer) = batch.reference.parse() {
            let transfer = world.shop.storage().transfer(tenant(), transfer).await.expect("it is read");
            let shares = transfer.expect("it is there").shares.into_iter();
            let own = shares.filter(|share| share.seller == SellerId::from_u128(id));
            commission = own.map(|share| share.commission_minor).sum::<i64>() * net.signum();
        }
        lines.push((batch.at, batch.purpose.clone(), net, commission));
    }
    lines
}

pub async fn statements_tell_all_that_was_booked_and_each_begins_where_the_one_before_ended(world: World) {
    let listed = [imported(CUP, 1, 500, 1_000), imported(POT, 2, 2_000, 1_000)];
    world.shop.import_products(tenant(), &listed).await.expect("there are enough");
    let start = world.clock.now();
    let mut cuts = vec![start];
    for day in 0..4 {
        let (_, payment) = bought(&world, &[(CUP, 3 + day), (POT, 1)]).await;
        let moved = async |kind, minor| {
            world.shop.change_payment(tenant(), payment, &change(kind, minor), None).await.expect("it is answered")
        };
        moved(TransferKind::Capture, Some(2_001 + day)).await;
        world.clock.advance(DAY_MICROS / 3);
        moved(TransferKind::Capture, None).await;
        moved(TransferKind::Refund, Some(333)).await;
        world.clock.advance(DAY_MICROS / 3);
        if day % 2 == 1 {
            world.shop.pay_out(tenant(), SellerId::from_u128(1), Currency::USD, None, None).await.expect("it is paid");
            moved(TransferKind::Refund, None).await;
        }
        world.clock.advance(DAY_MICROS / 3);
        cuts.push(world.clock.now());
    }
    let (journal, _) = books(&world, tenant()).await;
    for id in [1, 2] {
        let of = SellerId::from_u128(id);
        let expected = by_hand(&world, &journal, id).await;
        assert!(expected.len() > 10, "{expected:?}");
        let mut owed = 0;
        for cut in cuts.windows(2) {
            let period = StatementPeriod { from: cut[0], until: cut[1] };
            let statement = world.shop.storage().statement(tenant(), of, Currency::USD, period).await;
            let statement = statement.expect("it is read");
            assert_eq!(statement.opening_minor, owed, "it begins where the one before ended");
            let mut sums: BTreeMap<&str, (i64, i64, i64)> = BTreeMap::new();
            for (_, purpose, net, commission) in expected.iter().filter(|line| cut[0] <= line.0 && line.0 < cut[1]) {
                let sum = sums.entry(purpose).or_default();
                *sum = (sum.0 + 1, sum.1 + net, sum.2 + commission);
                owed += net;
            }
            let read = statement.sums.iter();
            let read: BTreeMap<&str, _> =
                read.map(|sum| (&*sum.purpose, (sum.lines_count, sum.net_minor, sum.commission_minor))).collect();
            assert_eq!(read, sums);
            assert!(statement.sums.iter().all(|sum| sum.gross_minor == sum.net_minor + sum.commission_minor));
            assert_eq!(statement.closing_minor, owed);
        }
        let whole = StatementPeriod { from: start, until: world.clock.now() };
        let (mut lines, mut after) = (Vec::new(), 0);
        loop {
            let part = world.shop.storage().statement_lines(tenant(), of, Currency::USD, whole, (after, 3)).await;
            let part = part.expect("it is read");
            let Some(last) = part.last() else { break };
            after = last.number;
            lines.extend(part);
        }
        let read = lines.iter().map(|line| (line.at, line.purpose.clone(), line.net_minor, line.commission_minor));
        assert_eq!(read.collect::<Vec<_>>(), expected, "the parts hold every line once");
        for line in &lines {
            assert_eq!(line.order.is_some(), !line.purpose.starts_with("payout"), "{line:?}");
        }
        let csv = statement_csv(Currency::USD, &lines);
        let nets = csv.lines().skip(1).map(|line| line.rsplit(',').next().expect("a field").parse::<f64>());
        let cents: f64 = nets.map(|net| net.expect("a number") * 100.0).sum();
        assert!((cents - owed as f64).abs() < 1e-6, "{csv}");
        let euros = world.shop.storage().statement(tenant(), of, Currency::EUR, whole).await.expect("it is read");
        assert_eq!((euros.opening_minor, euros.sums.len(), euros.closing_minor), (0, 0, 0));
        let other = TenantId::new("ten_other").expect("a valid tenant");
        let foreign = world.shop.storage().statement(other, of, Currency::USD, whole).await.expect("it is read");
        assert!(foreign.sums.is_empty(), "{foreign:?}");
    }
}
