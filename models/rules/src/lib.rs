//! Rules over features in CEL: checked types, versions, shadow mode, backtests; features and storage live elsewhere.
