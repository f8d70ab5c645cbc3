package alert

// NamesSQL is what Names asks.
const NamesSQL = namesSQL
