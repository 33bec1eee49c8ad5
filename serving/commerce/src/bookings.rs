//! What each step of a transfer or a dispute writes into the books: pure functions from one to a batch of entries.
//!
//! | Step | Debit | Credit |
//! |---|---|---|
//! | capture done | clearing | seller, commission |
//! | capture reversed | chargeback loss | clearing |
//! | refund asked | seller, commission | refunds |
//! | refund done | refunds | clearing |
//! | refund failed | refunds | seller, commission |
//! | refund reversed | clearing | seller, commission |
//! | payout asked | seller | payout |
//! | payout done | payout | clearing |
//! | payout failed | payout | seller |
//! | payout reversed | clearing | seller |
//! | credit note done | refunds | buyer |
//! | dispute opened, or lost after it was won | chargeback loss | clearing |
//! | dispute won | clearing | chargeback loss |
//! | agreement made | pay later (the agreement) | clearing (`pay_later`), fees |
//! | instalment paid | clearing | pay later |
//! | instalment taken back | pay later | clearing |
//! | financed amount refunded or called off | clearing (`pay_later`), fees | pay later |
//! | fee waived | fees | pay later |
//! | paid beyond what is owed | pay later | refunds |
//! | instalment refund done | refunds | clearing |
//! | instalment refund failed, or taken back | refunds, or clearing | buyer |
//! | written off, and found again | credit loss | pay later |
//! | invoice of a subscription; a credit the other way | seller | fees |

use dhow_credit::Standing;
use dhow_events::{BuyerId, SellerId, Timestamp};
use dhow_ledger::{Account, AccountError, AccountKind, Asset, Batch, BatchId, Entry, Move};

use crate::instalments::PAY_LATER;
use crate::transfers::STORE_CREDIT;
use crate::{Agreement, Dispute, DisputeState, SellerInvoice, Transfer, TransferKind, TransferState};

/// The batch of a transfer that is asked for; none where only its end touches the books.
pub(crate) fn asked(transfer: &Transfer, at: Timestamp) -> Result<Option<Batch>, AccountError> {
    let own = Account::own;
    let entries = match transfer.kind {
        TransferKind::Refund => from_sales(transfer, own(AccountKind::Refunds))?,
        TransferKind::Payout => pair(transfer, seller(transfer)?, own(AccountKind::Payout)),
        TransferKind::Capture | TransferKind::Void | TransferKind::Instalment | TransferKind::InstalmentRefund => {
            return Ok(None);
        }
    };
    Ok(Some(batch(transfer, "asked", entries, at)))
}

/// The batch of a transfer of a buyer that came to an end; none where the end moves no money, or its agreement books it.
pub(crate) fn ended(transfer: &Transfer, buyer: Option<BuyerId>, at: Timestamp) -> Result<Option<Batch>, AccountError> {
    let own = Account::own;
    let clearing = match &transfer.rail_reference {
        // A credit note's reference is whose it is.
        Some(buyer) if transfer.rail == STORE_CREDIT => Account::of(AccountKind::Buyer, buyer.as_str())?,
        _ => Account::of(AccountKind::Clearing, transfer.rail.as_str())?,
    };
    let entries = match (transfer.kind, transfer.state) {
        (TransferKind::Void | TransferKind::Instalment, _)
        | (TransferKind::Capture, TransferState::Failed)
        | (_, TransferState::Pending) => return Ok(None),
        (TransferKind::InstalmentRefund, TransferState::Done) => pair(transfer, own(AccountKind::Refunds), clearing),
        // What the rail does not take back to the buyer is the buyer's here.
        (TransferKind::InstalmentRefund, TransferState::Failed) => {
            pair(transfer, own(AccountKind::Refunds), credit_of(buyer)?)
        }
        (TransferKind::InstalmentRefund, TransferState::Reversed) => pair(transfer, clearing, credit_of(buyer)?),
        (TransferKind::Capture, TransferState::Done) => opposite(from_sales(transfer, clearing)?),
        (TransferKind::Capture, TransferState::Reversed) => pair(transfer, own(AccountKind::ChargebackLoss), clearing),
        (TransferKind::Refund, TransferState::Done) => pair(transfer, own(AccountKind::Refunds), clearing),
        (TransferKind::Refund, TransferState::Failed) => opposite(from_sales(transfer, own(AccountKind::Refunds))?),
        (TransferKind::Refund, TransferState::Reversed) => opposite(from_sales(transfer, clearing)?),
        (TransferKind::Payout, TransferState::Done) => pair(transfer, own(AccountKind::Payout), clearing),
        (TransferKind::Payout, TransferState::Failed) => pair(transfer, own(AccountKind::Payout), seller(transfer)?),
        (TransferKind::Payout, TransferState::Reversed) => pair(transfer, clearing, seller(transfer)?),
    };
    Ok(Some(batch(transfer, transfer.state.word(), entries, at)))
}

/// The batch of a dispute that opened, was won, or was lost after it was won; its id is made of the dispute's version.
pub(crate) fn disputed(dispute: &Dispute, at: Timestamp) -> Result<Batch, AccountError> {
    let (asset, amount) = (Asset::from(dispute.amount.currency), dispute.amount.amount_minor);
    let (loss, clearing) =
        (Account::own(AccountKind::ChargebackLoss), Account::of(AccountKind::Clearing, dispute.rail.as_str())?);
    let (debit, credit) = if dispute.state == DisputeState::Won { (clearing, loss) } else { (loss, clearing) };
    let mut hasher = blake3::Hasher::new_derive_key("dhow 2026 ledger batch of a dispute");
    hasher.update(&dispute.id.as_u128().to_le_bytes()).update(&dispute.version.to_le_bytes());
    Ok(Batch {
        id: batch_id(&hasher),
        tenant: dispute.tenant,
        at,
        purpose: format!("dispute {}", dispute.state),
        reference: dispute.id.to_string(),
        does: Move::Post(vec![Entry::debit(debit, asset, amount), Entry::credit(credit, asset, amount)]),
    })
}

/// The batch of a step of an agreement that was made, from the sums before it; its id is made of the agreement's version.
/// None where no sum changed.
pub(crate) fn agreement(
    agreement: &Agreement,
    before: &Standing,
    rail: &str,
    at: Timestamp,
) -> Result<Option<Batch>, AccountError> {
    if !agreement.is_made() {
        return Ok(None);
    }
    let (asset, after, own) = (Asset::from(agreement.currency), &agreement.standing, Account::own);
    let change = |sum: fn(&Standing) -> i64| sum(after) - sum(before);
    let debits = [
        (Account::of(AccountKind::Clearing, rail)?, change(|sums| sums.paid_minor)),
        (
            Account::of(AccountKind::Clearing, PAY_LATER)?,
            change(|sums| sums.principal_refunded_minor - sums.principal_minor),
        ),
        (own(AccountKind::Fees), change(|sums| sums.fee_refunded_minor + sums.fee_waived_minor - sums.fee_minor)),
        (own(AccountKind::CreditLoss), change(|sums| sums.written_off_minor)),
        (own(AccountKind::Refunds), change(|sums| -sums.returned_minor)),
        (Account::of(AccountKind::PayLater, agreement.id.to_string())?, change(Standing::outstanding_minor)),
    ];
    let entry = |(account, minor)| Entry::debit(account, asset, minor);
    let entries: Vec<Entry> = debits.into_iter().filter(|(_, minor)| *minor != 0).map(entry).collect();
    if entries.is_empty() {
        return Ok(None);
    }
    let mut hasher = blake3::Hasher::new_derive_key("dhow 2026 ledger batch of an agreement");
    hasher.update(&agreement.id.as_u128().to_le_bytes()).update(&agreement.version.to_le_bytes());
    Ok(Some(Batch {
        id: batch_id(&hasher),
        tenant: agreement.tenant,
        at,
        purpose: format!("agreement {}", agreement.state),
        reference: agreement.id.to_string(),
        does: Move::Post(entries),
    }))
}

/// The batch of an invoice, whose id is made of its number; none where it comes to nothing.
pub(crate) fn invoiced(made: &SellerInvoice) -> Result<Option<Batch>, AccountError> {
    let (asset, amount) = (Asset::from(made.invoice.currency), made.invoice.total_minor);
    if amount == 0 {
        return Ok(None);
    }
    let (seller, fees) = (seller_account(made.seller)?, Account::own(AccountKind::Fees));
    let mut hasher = blake3::Hasher::new_derive_key("dhow 2026 ledger batch of an invoice");
    hasher.update(&made.seller.as_u128().to_le_bytes()).update(&made.number.to_le_bytes());
    Ok(Some(Batch {
        id: batch_id(&hasher),
        tenant: made.tenant,
        at: made.invoice.at,
        purpose: "subscription invoice".to_owned(),
        reference: format!("{}/{}", made.seller, made.number),
        does: Move::Post(vec![Entry::debit(seller, asset, amount), Entry::credit(fees, asset, amount)]),
    }))
}

fn batch_id(hasher: &blake3::Hasher) -> BatchId {
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    BatchId(u128::from_le_bytes(id))
}

/// The account of what a seller is owed.
pub(crate) fn seller_account(seller: SellerId) -> Result<Account, AccountError> {
    Account::of(AccountKind::Seller, seller.to_string())
}

/// The account of what a buyer has with the marketplace.
fn credit_of(buyer: Option<BuyerId>) -> Result<Account, AccountError> {
    Account::of(AccountKind::Buyer, buyer.map(|buyer| buyer.to_string()).unwrap_or_default())
}

fn seller(transfer: &Transfer) -> Result<Account, AccountError> {
    let owner = transfer.seller.map(|seller| seller.to_string());
    Account::of(AccountKind::Seller, owner.unwrap_or_default())
}

fn asset(transfer: &Transfer) -> Asset {
    Asset::from(transfer.amount.currency)
}

fn pair(transfer: &Transfer, debit: Account, credit: Account) -> Vec<Entry> {
    let (asset, amount) = (asset(transfer), transfer.amount.amount_minor);
    vec![Entry::debit(debit, asset, amount), Entry::credit(credit, asset, amount)]
}

/// Takes each order's part from its seller and the commission, and credits the whole to `to`.
fn from_sales(transfer: &Transfer, to: Account) -> Result<Vec<Entry>, AccountError> {
    let asset = asset(transfer);
    let mut entries = Vec::with_capacity(transfer.shares.len() + 2);
    let mut commission_minor = 0;
    for share in &transfer.shares {
        commission_minor += share.commission_minor;
        entries.push(Entry::debit(seller_account(share.seller)?, asset, share.amount_minor - share.commission_minor));
    }
    entries.push(Entry::debit(Account::own(AccountKind::Commission), asset, commission_minor));
    entries.push(Entry::credit(to, asset, transfer.amount.amount_minor));
    entries.retain(|entry| entry.amount != 0);
    Ok(entries)
}

fn opposite(mut entries: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut entries {
        entry.amount = -entry.amount;
    }
    entries
}

/// Each step of a transfer has one batch: its id is made of both, so that no step is booked twice.
fn batch(transfer: &Transfer, step: &str, entries: Vec<Entry>, at: Timestamp) -> Batch {
    let mut hasher = blake3::Hasher::new_derive_key("dhow 2026 ledger batch of a transfer");
    hasher.update(&transfer.id.as_u128().to_le_bytes()).update(step.as_bytes());
    Batch {
        id: batch_id(&hasher),
        tenant: transfer.tenant,
        at,
        purpose: format!("{} {step}", transfer.kind),
        reference: transfer.id.to_string(),
        does: Move::Post(entries),
    }
}
