//! Who shares a card, a device, an address or a payout account with whom: rings as they form; scores live elsewhere.
