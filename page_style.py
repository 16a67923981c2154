"""The reports' style sheet: black on white, one column, numbers in tabular figures, fit for print."""

STYLE = """
:root { --ink: #1a1a1a; --soft: #595959; --line: #d0d0d0; --blue: #0072B2; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 72rem; color: var(--ink); background: #fff;
  font: 16px/1.5 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; overflow-wrap: break-word; }
header { border-bottom: 2px solid var(--ink); padding-bottom: 1rem; margin-bottom: 1.5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .8rem; padding-top: .5rem; border-top: 1px solid var(--line); }
header p { margin: 0; max-width: none; color: var(--soft); }
header + section h2 { border-top: 0; margin-top: 1rem; }
p { max-width: 46rem; }
.verdict h3 { font-size: 1rem; margin: 1.1rem 0 .2rem; }
.verdict h3::first-letter { text-transform: uppercase; }
.verdict p { margin: 0; max-width: 54rem; }
.caption, figcaption { font-size: .82rem; line-height: 1.45; color: var(--soft); max-width: 60rem; margin: .6rem 0 0; }
.absent { color: var(--soft); font-style: italic; }
figure { margin: 0 0 1.8rem; break-inside: avoid; }
.panels { display: flex; flex-wrap: wrap; gap: 1rem 1.4rem; align-items: flex-start; }
.panels > * { max-width: 100%; }
.panels img, .panels > img { display: block; max-width: 100%; height: auto; }
.paneltitle { font-size: .82rem; font-weight: bold; margin: 0 0 .2rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .82rem; margin: 0 0 .8rem; max-width: none; }
.legend i { font-style: normal; }
.legend .bar { color: #c8c8c8; }
.scroll { overflow-x: auto; margin: .4rem 0; }
.scroll:focus-visible { outline: 2px solid var(--blue); }
table { border-collapse: collapse; font-size: .82rem; line-height: 1.3; width: 100%;
  font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .55rem; text-align: left; vertical-align: top; font-weight: normal; }
th:first-child, td:first-child { padding-left: 0; }
thead th { border-top: 1.5px solid var(--ink); border-bottom: 1px solid var(--ink); vertical-align: bottom;
  font-weight: bold; }
tbody:last-child tr:last-child > * { border-bottom: 1.5px solid var(--ink); }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
.scores th[scope=row] { white-space: nowrap; }
.scores .other { color: var(--soft); }
.scores thead .other { color: inherit; }
.scores .group { padding-top: .8rem; border-bottom: 1px solid var(--line); }
.scores .group span { color: var(--soft); }
details { margin: .5rem 0; }
details > details { margin-left: 1.2rem; }
summary { cursor: pointer; color: var(--blue); font-size: .9rem; }
.reading { max-height: 36rem; overflow: auto; border-bottom: 1px solid var(--line); margin: .4rem 0; }
.timeline thead th { position: sticky; top: 0; background: #fff; }
.timeline td, .timeline th { border-bottom: 1px solid #ececec; line-height: 1.45; }
.timeline td[data-head] { width: 31%; }
.timeline td.number { width: auto; }
.timeline th[scope=row] { color: var(--soft); white-space: nowrap; padding-right: .8rem; }
mark { color: inherit; background: #cfe6f5; }
u { text-decoration: none; border-bottom: 1px dotted var(--soft); }
dl { margin: .4rem 0; font-size: .88rem; }
dl > div { display: grid; grid-template-columns: minmax(9rem, 16rem) 1fr; gap: .2rem 1rem; padding: .2rem 0;
  border-bottom: 1px solid #ececec; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; font-variant-numeric: tabular-nums; }
pre { font: .78rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; overflow-x: auto;
  background: #f6f6f6; padding: .8rem 1rem; margin: .4rem 0; }
pre.wrapped { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 700px) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .scores th[scope=row] { position: sticky; left: 0; background: #fff; }
  dl > div { grid-template-columns: 1fr; gap: 0; }
  .timeline thead { display: none; }
  .timeline, .timeline tbody, .timeline tr, .timeline td, .timeline th { display: block;
    width: auto; border: 0; padding: 0; }
  .timeline tr { padding: .6rem 0; border-bottom: 1px solid var(--line); }
  .timeline td[data-head] { width: auto; text-align: left; margin-top: .3rem; }
  .timeline td::before { content: attr(data-head) ": "; color: var(--soft); }
}
@media print {
  @page { margin: 15mm; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  h2, h3, .legend { break-after: avoid; }
  .panels > div { break-inside: avoid; }
  figcaption { break-before: avoid; }
  figure { break-inside: auto; }
  .panels { display: block; }
  .panels > img { display: inline-block; max-width: 48%; margin: 0 1% .6rem 0; break-inside: avoid; }
  tr { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll, .reading { overflow: visible; max-height: none; }
  .scores { font-size: 7pt; }
  mark { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
