// Scores of search results: Sphinx's own, with the pages of the guide before lists.
var Scorer = {
  score: ([page, title, anchor, description, score]) => {
    if (/^(guide\/(?!index)|files|large_tables|clusters|install)/.test(page)) return score + 12;
    if (/^(contributing|changelog|guide\/index|index)/.test(page)) return score - 8;
    return score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
