//! Auctions: opened, listed, bid on, bought at once, paid, watched by server-sent events; their rules are elsewhere.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dhow_auctions::Standing;
use dhow_commerce::{
    Auction, AuctionBid, AuctionCancellation, AuctionInput, AuctionOffer, AuctionPayment, AuctionState, BidReceipt,
    PAGE_LIMIT_MAX, Page, Storage,
};
use dhow_events::{AuctionId, BuyerId, CheckoutId, Money, ProductId, SellerId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use super::checkouts::{checkout_answer, replayed};
use super::fraud::unless_no_model;
use super::persons::check_not_erased;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, etag, idempotency, page_request};
use crate::problem::Problem;
use crate::schemas;
use crate::settings::{EVENT_PAUSE, EVENT_STREAM_TIME_MAX, EVENT_STREAMS_MAX, PAGE_LIMIT_DEFAULT};

/// Prices from a price on.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct IncrementBand {
    /// The first price of the band, in minor units; 0 in the first band.
    from_minor: i64,
    /// By how much a bid must raise a price of the band, in minor units; no less than in the band before.
    step_minor: i64,
}

/// A price at which an auction can be ended at once.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct BuyNowRequest {
    price: schemas::Money,
    /// It can be bought while the price is below this share of it, in millionths; until the first bid where it is absent.
    until_ppm: Option<u32>,
}

/// What late bids do to the end of an auction.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct ExtensionRequest {
    /// The last moments, in seconds; at most 3,600.
    window_s: u32,
    /// The auction ends no sooner than so long after a bid within them, in seconds; at most 3,600.
    by_s: u32,
    /// So many times at most; at most 1,000.
    times_max: u32,
}

/// An auction that is asked for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct AuctionRequest {
    /// Of which product; one unit of it is held while the auction runs.
    product: String,
    /// The least first bid; its currency is the auction's.
    opening: schemas::Money,
    /// What the winner's maximum must reach; told to nobody.
    reserve: Option<schemas::Money>,
    buy_now: Option<BuyNowRequest>,
    /// By how much bids must raise the price; the marketplace's table of the currency where it is absent.
    increments: Option<Vec<IncrementBand>>,
    extension: Option<ExtensionRequest>,
    /// When bidding begins; at once where it is absent.
    opens_at: Option<String>,
    /// When bidding ends: a minute to 90 days after it began.
    ends_at: String,
    /// How long whom it is offered to has to pay, in seconds: 600 to 2,592,000; 48 hours where it is absent.
    pay_within_s: Option<i64>,
}

/// Whom an auction is offered to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferAnswer {
    #[schema(value_type = String)]
    buyer: BuyerId,
    /// What is to be paid.
    #[schema(value_type = schemas::Money)]
    price: Money,
    /// Until when.
    #[schema(value_type = String)]
    pays_by: Timestamp,
    /// How many it was offered to, this one included; at most 3.
    chance: u32,
}

/// An auction, without what its bidders and its seller keep to themselves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuctionAnswer {
    #[schema(value_type = String)]
    id: AuctionId,
    /// Counts its changes; also its ETag.
    version: i64,
    #[schema(value_type = String)]
    product: ProductId,
    #[schema(value_type = String)]
    seller: SellerId,
    /// `open`, `awaiting_payment`, `paying`, `sold`, `unsold` or `cancelled`.
    #[schema(value_type = String)]
    state: AuctionState,
    /// Why: `opened`, `won`, `bought_now`, `second_chance`, `paid`, `payment_failed`, `no_bids`, `reserve_not_met`, `not_paid`,
    /// `stock`, or the reason of its cancellation.
    reason: String,
    /// What the leader would pay now, or whom it is offered to is to pay; null before the first bid.
    #[schema(value_type = Option<schemas::Money>, required)]
    price: Option<Money>,
    /// The least that somebody who does not lead can bid.
    #[schema(value_type = schemas::Money)]
    minimum: Money,
    bids: i64,
    /// Who leads; null before the first bid.
    #[schema(value_type = Option<String>, required)]
    leader: Option<BuyerId>,
    /// Whether the leader's maximum reaches the reserve; null where there is none.
    #[schema(required)]
    reserve_met: Option<bool>,
    /// The price at which it can be ended at once; null where it cannot, or no longer.
    #[schema(value_type = Option<schemas::Money>, required)]
    buy_now: Option<Money>,
    #[schema(value_type = String)]
    opens_at: Timestamp,
    /// When bidding ends, extensions included.
    #[schema(value_type = String)]
    ends_at: Timestamp,
    extensions: u32,
    /// Whom it is offered to, or was last; null while it takes bids.
    #[schema(required)]
    offer: Option<OfferAnswer>,
    /// The checkout that pays it, or failed to.
    #[schema(value_type = Option<String>, required)]
    checkout: Option<CheckoutId>,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
}

impl AuctionAnswer {
    fn new(auction: Auction, now: Timestamp) -> Self {
        let (terms, standing) = (&auction.terms, &auction.standing);
        let is_open = auction.state == AuctionState::Open;
        let buy_now = standing.buy_now(terms, now.max(terms.opens_at)).ok().filter(|_| is_open);
        let offer = |AuctionOffer { buyer, price_minor, pays_by, chance }| OfferAnswer {
            buyer,
            price: terms.money(price_minor),
            pays_by,
            chance,
        };
        Self {
            id: auction.id,
            version: auction.version,
            product: auction.product,
            seller: auction.seller,
            state: auction.state,
            price: auction.price(),
            minimum: auction.minimum(),
            bids: standing.bids,
            leader: standing.leader.map(|leader| leader.bidder),
            reserve_met: terms.reserve_minor.map(|_| standing.reserve_met(terms)),
            buy_now: buy_now.map(|minor| terms.money(minor)),
            opens_at: terms.opens_at,
            ends_at: standing.ends_at,
            extensions: standing.extensions,
            offer: auction.offer.map(offer),
            checkout: auction.checkout,
            created_at: auction.created_at,
            updated_at: auction.updated_at,
            reason: auction.reason,
        }
    }
}

fn tagged(app: &Shared, auction: Auction) -> Response {
    let (tag, answer) = (etag(auction.version), AuctionAnswer::new(auction, app.engine.clock().now()));
    ([(header::ETAG, tag)], Json(answer)).into_response()
}

/// Put one unit of a product up for auction.
///
/// English, with proxy bids: the highest maximum wins, at one increment above the second highest. The unit is reserved from
/// stock until the auction is over; 409 where none is free. With an `Idempotency-Key` the same request gives the same auction.
#[utoipa::path(
    post, path = "/v1/auctions", tag = "auctions", request_body = AuctionRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = AuctionAnswer)),
)]
pub(crate) async fn post_auctions(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<AuctionInput>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/auctions", &body.bytes)?;
    let opened = app.engine.commerce().open_auction(caller.tenant, &body.value, key.as_ref()).await?;
    let place = [(header::LOCATION, format!("/v1/auctions/{}", opened.value.id))];
    Ok((StatusCode::CREATED, place, replayed(opened.replayed), tagged(&app, opened.value)).into_response())
}

/// Which auctions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuctionListParameters {
    /// Only in this state: `open`, `awaiting_payment`, `paying`, `sold`, `unsold` or `cancelled`.
    #[param(value_type = Option<String>)]
    state: Option<AuctionState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A page of auctions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuctionPage {
    items: Vec<AuctionAnswer>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// List auctions, newest first.
#[utoipa::path(
    get, path = "/v1/auctions", tag = "auctions", params(AuctionListParameters),
    responses((status = 200, body = AuctionPage)),
)]
pub(crate) async fn get_auctions(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<AuctionListParameters>,
) -> Result<Json<AuctionPage>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), AuctionId::KIND.prefix)?;
    let Page { items, next } = app.engine.store().auctions(caller.tenant, parameters.state, &page).await?;
    let now = app.engine.clock().now();
    Ok(Json(AuctionPage { items: items.into_iter().map(|auction| AuctionAnswer::new(auction, now)).collect(), next }))
}

/// Read an auction.
#[utoipa::path(
    get, path = "/v1/auctions/{id}", tag = "auctions",
    params(("id" = String, Path, description = "The auction.")),
    responses((status = 200, body = AuctionAnswer)),
)]
pub(crate) async fn get_auction(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AuctionId>,
) -> Result<Response, Problem> {
    Ok(tagged(&app, app.engine.commerce().auction(caller.tenant, id).await?))
}

/// A bid that counted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BidItem {
    /// Its number in the auction, from 1.
    sequence: i64,
    #[schema(value_type = String)]
    bidder: BuyerId,
    #[schema(value_type = String)]
    placed_at: Timestamp,
    /// The price after it.
    #[schema(value_type = schemas::Money)]
    price: Money,
    /// Who led after it.
    #[schema(value_type = Option<String>)]
    leader: Option<BuyerId>,
}

/// Bids of an auction, in the order in which they counted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BidsAnswer {
    items: Vec<BidItem>,
    /// The `after` of the next page; null where this is the last.
    next: Option<i64>,
}

/// Which bids.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BidParameters {
    /// The most bids, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// Those after the one of this sequence; from the first where it is absent.
    after: Option<i64>,
}

/// Read who bid on an auction, and what each bid did.
///
/// Maxima are told to nobody.
#[utoipa::path(
    get, path = "/v1/auctions/{id}/bids", tag = "auctions",
    params(("id" = String, Path, description = "The auction."), BidParameters),
    responses((status = 200, body = BidsAnswer)),
)]
pub(crate) async fn get_bids(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AuctionId>,
    Parameters(parameters): Parameters<BidParameters>,
) -> Result<Json<BidsAnswer>, Problem> {
    let limit = parameters.limit.unwrap_or(PAGE_LIMIT_DEFAULT);
    if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", format!("is {limit}; it must be from 1 to {PAGE_LIMIT_MAX}")));
    }
    let after = parameters.after.unwrap_or(0);
    if after < 0 {
        return Err(Problem::parameter("after", format!("is {after}; it must be a bid's sequence, or 0")));
    }
    let commerce = app.engine.commerce();
    let currency = commerce.auction(caller.tenant, id).await?.terms.currency;
    let mut bids = commerce.bids_after(caller.tenant, id, after, limit + 1).await?;
    let more = bids.len() > limit as usize;
    bids.truncate(limit as usize);
    let item = |(bid, standing): &(AuctionBid, Standing)| BidItem {
        sequence: bid.sequence,
        bidder: bid.bidder,
        placed_at: bid.placed_at,
        price: Money::new(standing.price_minor.unwrap_or_default(), currency),
        leader: standing.leader.map(|leader| leader.bidder),
    };
    let next = bids.last().filter(|_| more).map(|(bid, _)| bid.sequence);
    Ok(Json(BidsAnswer { items: bids.iter().map(item).collect(), next }))
}

/// A bid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BidRequest {
    /// Who bids.
    #[schema(value_type = String)]
    bidder: BuyerId,
    /// The most that the bidder would pay; no other bidder is told.
    #[schema(value_type = schemas::Money)]
    maximum: Money,
}

/// What a bid did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BidAnswer {
    #[schema(value_type = String)]
    auction: AuctionId,
    /// The bid's number in the auction, from 1: bids count in this order.
    sequence: i64,
    /// Whether its bidder leads.
    leads: bool,
    /// The price now.
    #[schema(value_type = schemas::Money)]
    price: Money,
    /// The least that would outbid the price.
    #[schema(value_type = schemas::Money)]
    minimum: Money,
    /// Whether the bid extended the auction.
    extended: bool,
    /// When bidding ends.
    #[schema(value_type = String)]
    ends_at: Timestamp,
}

impl From<BidReceipt> for BidAnswer {
    fn from(receipt: BidReceipt) -> Self {
        let BidReceipt { auction, sequence, leads, price, minimum, extended, ends_at } = receipt;
        Self { auction, sequence, leads, price, minimum, extended, ends_at }
    }
}

/// Bid on an auction.
///
/// A bid names the most that its bidder would pay; the price goes no higher than it takes to lead. 409 with the price and
/// the least bid where it does not count. With an `Idempotency-Key` the same request bids once.
#[utoipa::path(
    post, path = "/v1/auctions/{id}/bids", tag = "auctions", request_body = BidRequest,
    params(
        ("id" = String, Path, description = "The auction."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 201, body = BidAnswer)),
)]
pub(crate) async fn post_bids(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AuctionId>,
    headers: HeaderMap,
    body: JsonBody<BidRequest>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, &format!("POST /v1/auctions/{id}/bids"), &body.bytes)?;
    let BidRequest { bidder, maximum } = body.value;
    check_not_erased(&app, caller.tenant, bidder)?;
    let placed = app.engine.commerce().place_bid(caller.tenant, id, (bidder, maximum), key.as_ref()).await?;
    Ok((StatusCode::CREATED, replayed(placed.replayed), Json(BidAnswer::from(placed.value))).into_response())
}

/// Who buys at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuyNowBody {
    /// Who buys, and is to pay.
    #[schema(value_type = String)]
    buyer: BuyerId,
}

/// Buy an auction at once, at its buy-now price.
///
/// Bidding ends, and the auction is offered to the buyer, who pays it as a winner does. 409 where it cannot be bought at
/// once, or no longer.
#[utoipa::path(
    post, path = "/v1/auctions/{id}/buy-now", tag = "auctions", request_body = BuyNowBody,
    params(
        ("id" = String, Path, description = "The auction."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 200, body = AuctionAnswer)),
)]
pub(crate) async fn post_buy_now(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AuctionId>,
    headers: HeaderMap,
    body: JsonBody<BuyNowBody>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, &format!("POST /v1/auctions/{id}/buy-now"), &body.bytes)?;
    check_not_erased(&app, caller.tenant, body.value.buyer)?;
    let bought = app.engine.commerce().buy_now(caller.tenant, id, body.value.buyer, key.as_ref()).await?;
    Ok((replayed(bought.replayed), tagged(&app, bought.value)).into_response())
}

/// Why an auction is called off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuctionCancelBody {
    /// `seller_request`, `item_unavailable`, `suspected_fraud` or `listing_error`.
    #[schema(value_type = String)]
    reason: AuctionCancellation,
}

/// Call an auction off.
///
/// Its unit is free again. One that is called off already is answered as it is; 409 where it is being paid, or over.
#[utoipa::path(
    post, path = "/v1/auctions/{id}/cancel", tag = "auctions", request_body = AuctionCancelBody,
    params(("id" = String, Path, description = "The auction.")),
    responses((status = 200, body = AuctionAnswer)),
)]
pub(crate) async fn post_auction_cancel(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AuctionId>,
    body: JsonBody<AuctionCancelBody>,
) -> Result<Response, Problem> {
    Ok(tagged(&app, app.engine.commerce().cancel_auction(caller.tenant, id, body.value.reason).await?))
}

/// How an auction is paid.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct AuctionCheckoutRequest {
    /// Whom the auction is offered to.
    buyer: String,
    session: Option<String>,
    device: Option<String>,
    /// Needed where the payment method is `card`.
    card: Option<String>,
    address: Option<String>,
    /// Where the device is.
    region: String,
    /// Where the parcel goes.
    delivery_region: String,
    /// As of a checkout.
    payment_method: String,
}

/// Pay an auction.
///
/// A checkout of the auction's unit at the price at which it is offered, scored, paid and answered as `POST /v1/checkouts`
/// does. The auction is `sold` once it is completed; where it is refused, whom it is offered to may pay again until `pays_by`.
/// Who does not is passed over, and the auction is offered as though that person had not bid, to three persons at most.
#[utoipa::path(
    post, path = "/v1/auctions/{id}/checkout", tag = "auctions", request_body = AuctionCheckoutRequest,
    params(
        ("id" = String, Path, description = "The auction."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 201, body = schemas::Checkout), (status = 202, body = schemas::Checkout)),
)]
pub(crate) async fn post_auction_checkout(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AuctionId>,
    headers: HeaderMap,
    body: JsonBody<AuctionPayment>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, &format!("POST /v1/auctions/{id}/checkout"), &body.bytes)?;
    let paid = app.engine.commerce().pay_auction(caller.tenant, id, &body.value, key.as_ref()).await;
    let paid = paid.map_err(|error| unless_no_model(&app, caller.tenant, error.into()))?;
    Ok(checkout_answer(paid))
}

/// Watch an auction.
///
/// Server-sent events, whichever server takes the bids: `auction` whenever it changed, and `end` when it is over. Each holds
/// the auction as it stands then, with its version as the event's id; changes that follow each other within moments may come
/// as one. Every single bid is in the feed (`GET /v1/events`) as `auction_bid_placed`. Ends after 11 minutes.
#[utoipa::path(
    get, path = "/v1/auctions/{id}/events", tag = "auctions",
    params(("id" = String, Path, description = "The auction.")),
    responses((status = 200, content_type = "text/event-stream", body = String)),
)]
pub(crate) async fn get_auction_events(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AuctionId>,
) -> Result<Response, Problem> {
    app.engine.commerce().auction(caller.tenant, id).await?;
    let place = app.stream_places.clone().try_acquire_owned();
    let place =
        place.map_err(|_| Problem::busy("busy", format!("{EVENT_STREAMS_MAX} streams of events are open already")))?;
    let until = app.tick() + EVENT_STREAM_TIME_MAX.as_micros() as i64;
    let watch = Watch { app, tenant: caller.tenant, id, until, seen: 0, ended: false, _place: place };
    let alive = KeepAlive::new().interval(Duration::from_secs(10));
    Ok(Sse::new(futures::stream::unfold(watch, next_event)).keep_alive(alive).into_response())
}

/// Somebody who watches an auction.
struct Watch {
    app: Shared,
    tenant: TenantId,
    id: AuctionId,
    until: Timestamp,
    /// The version that was told of last.
    seen: i64,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

/// The next event, once there is news; nothing after the last one.
async fn next_event(mut watch: Watch) -> Option<(Result<Event, Infallible>, Watch)> {
    while !watch.ended && watch.app.tick() < watch.until {
        let auction = match watch.app.engine.commerce().auction(watch.tenant, watch.id).await {
            Ok(auction) => auction,
            Err(error) => {
                tracing::error!(id = %watch.id, %error, "a stream of events ended early");
                return None;
            }
        };
        if auction.version == watch.seen {
            tokio::time::sleep(EVENT_PAUSE).await;
            continue;
        }
        (watch.seen, watch.ended) = (auction.version, auction.state.is_final());
        let name = if watch.ended { "end" } else { "auction" };
        let answer = AuctionAnswer::new(auction, watch.app.engine.clock().now());
        let event = Event::default().event(name).id(watch.seen.to_string()).json_data(answer);
        match event {
            Ok(event) => return Some((Ok(event), watch)),
            Err(error) => {
                tracing::error!(id = %watch.id, %error, "a stream of events ended early");
                return None;
            }
        }
    }
    None
}
