/**
 * The page's style sheet: system fonts, tabular numbers, an accent colour for each verdict; for light, dark and print. The page's policy
 * allows it by its hash, so that elements cannot have inline styles.
 */
import { Html } from "./html.ts";

/** Background of the verdict's white text. */
export const STATE_COLORS = { pass: "#1a7f37", fail: "#c0272d", error: "#9a5700", none: "#5a5f73" } as const;

export const STYLE = new Html(`
:root{color-scheme:light dark;--paper:#f5f6f8;--card:#fff;--ink:#1b1f27;--quiet:#596070;--line:#e2e5ea;--grid:#e6e9ee;--code:#f0f2f5;
--phase:#67718a;--before:#c3c9d4;--transfer:#2f6fde;--reused:#a9c6f7;--good:#1a7f37;--bad:#c0272d;--warn:#9a5700;--skip:#aab1bf;
--memory:#2f6fde;--cpu:#7a5bd0}
.pass{--accent:${STATE_COLORS.pass}}.fail{--accent:${STATE_COLORS.fail}}.error{--accent:${STATE_COLORS.error}}.none{--accent:${STATE_COLORS.none}}
@media (prefers-color-scheme:dark){:root{--paper:#0f1217;--card:#171b22;--ink:#e5e8ee;--quiet:#9aa3b4;--line:#2a303b;--grid:#262c36;--code:#11151b;
--phase:#7d89a3;--before:#454d5c;--transfer:#5b93f5;--reused:#2d4c80;--good:#46b862;--bad:#ff7b7b;--warn:#e0a045;--skip:#5c6575;
--memory:#5b93f5;--cpu:#a78bfa}
.pass{--accent:#17652d}.fail{--accent:#9d2328}.error{--accent:#7d4800}.none{--accent:#454a5c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere;-webkit-text-size-adjust:100%}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.867em}
.banner{background:var(--accent);color:#fff}
.inner,main,footer{max-width:62rem;margin:0 auto;padding:0 1.25rem}
.inner{display:flex;gap:1.25rem;align-items:center;padding-top:1.6rem;padding-bottom:1.6rem}
.sign{flex:none}.sign circle{fill:#fff}.sign path{fill:none;stroke:var(--accent);stroke-width:2.6;stroke-linecap:round;stroke-linejoin:round}
.answer{min-width:0}
h1{margin:0;font-size:2.9rem;line-height:1.05;font-weight:750;letter-spacing:-.02em}
.says{margin:.35rem 0 0;font-size:1.15rem;line-height:1.35}.says code{font-size:1em;font-weight:600;margin-right:.35em}
.of{margin:.4rem 0 0;font-size:.9rem}.of .short{white-space:nowrap}.of span+span::before{content:"·";margin:0 .5em}
main{padding-top:1.25rem;display:grid;grid-template-columns:minmax(0,1fr);gap:1rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.25rem 1.2rem;min-width:0}
h2{margin:0 0 .7rem;font-size:1.05rem;line-height:1.3;font-weight:650}
h3{margin:1.3rem 0 .5rem;font-size:.9rem;font-weight:600;color:var(--quiet)}
.count{font-weight:400;color:var(--quiet);margin-left:.25em}
.quiet,small{color:var(--quiet)}p.quiet{margin:.5rem 0 .35rem;font-size:.9rem}small{font-size:.8rem;font-weight:400}
section.error{border-left:5px solid var(--warn)}
.message{margin:0 0 .9rem;font-size:1.05rem;font-weight:500}
.figures small{display:block;line-height:1.3;letter-spacing:0}.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.6rem,1fr));gap:1px;margin:0;background:var(--line);border:1px solid var(--line);border-radius:10px;overflow:hidden}
.figures div{background:var(--card);padding:.75rem 1rem .8rem}
.figures dt{font-size:.8rem;color:var(--quiet);line-height:1.3}.figures dd{margin:.15rem 0 0;font-size:1.3rem;font-weight:650;line-height:1.25;letter-spacing:-.01em}
.facts{margin:0;display:grid;gap:.5rem}
.facts div{display:grid;grid-template-columns:8rem minmax(0,1fr);gap:1rem}.facts dt{color:var(--quiet)}.facts dd{margin:0}
.row{display:grid;grid-template-columns:13rem minmax(0,1fr) 7.5rem;column-gap:1rem;align-items:center;line-height:1.3}
.row .label{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}.row .note{text-align:right;color:var(--quiet);font-size:.87rem;white-space:nowrap}
.row .track{grid-column:2;grid-row:1;display:block;overflow:visible}
.level0 .label{font-weight:600}.level1 .label{padding-left:1.1rem;font-size:.87rem;color:var(--quiet)}
p.part{padding-left:1.1rem;margin:.1rem 0}
.grid{stroke:var(--grid);stroke-width:1;shape-rendering:crispEdges}
.hidden{position:absolute}.bar.rest{fill:none;stroke:var(--transfer);stroke-dasharray:2 3}
.axis text{fill:var(--quiet);font-size:11px}
.bar{stroke-width:1}
.bar.before{fill:var(--before);stroke:var(--before)}.bar.done{fill:var(--phase);stroke:var(--phase)}.bar.failed{fill:var(--bad);stroke:var(--bad)}
.bar.open{fill:var(--warn);stroke:var(--warn)}.bar.transfer{fill:var(--transfer);stroke:var(--transfer)}.bar.service{fill:var(--skip);stroke:var(--skip)}.bar.step{fill:var(--good);stroke:var(--good)}
.chart{margin-bottom:.5rem}.chart .note small{display:block}.chart .note{line-height:1.25;white-space:normal;color:var(--ink);font-weight:600}
.chart .track{border-bottom:1px solid var(--line)}
.area{opacity:.2}.area.memory{fill:var(--memory)}.area.cpu{fill:var(--cpu)}
.line{fill:none;stroke-width:1.5;stroke-linejoin:round}.line.memory{stroke:var(--memory)}.line.cpu{stroke:var(--cpu)}
.share{display:block;border-radius:4px;overflow:hidden;background:var(--line)}
.share .passed{fill:var(--good)}.share .failed{fill:var(--bad)}.share .skipped{fill:var(--skip)}.share .fetched{fill:var(--transfer)}.share .reused{fill:var(--reused)}
.legend{list-style:none;margin:.6rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem}
.legend li::before{content:"";display:inline-block;width:.7em;height:.7em;border-radius:2px;margin-right:.45em}
.legend .passed::before{background:var(--good)}.legend .failed::before{background:var(--bad)}.legend .skipped::before{background:var(--skip)}.legend .fetched::before{background:var(--transfer)}.legend .reused::before{background:var(--reused)}
table{width:100%;border-collapse:collapse;margin-top:.9rem;font-size:.9rem}
th,td{padding:.35rem 0 .35rem .8rem;text-align:right;border-top:1px solid var(--line);font-weight:400;vertical-align:baseline}
td{white-space:nowrap}th:first-child{text-align:left;padding-left:0}thead th{overflow-wrap:normal;border-top:0;color:var(--quiet);font-size:.8rem}
.warnings{list-style:none;margin:0;padding:0}.warnings li{padding:.4rem 0;border-top:1px solid var(--line)}.warnings li:first-child{border-top:0;padding-top:0}
.warnings .at{color:var(--quiet);font-size:.87rem;margin-right:.3em}.warnings .level{font-weight:600;margin-right:.3em}.warn .level{color:var(--warn)}.bad .level{color:var(--bad)}
pre,.log{margin:.4rem 0 0;background:var(--code);border:1px solid var(--line);border-radius:8px;padding:.75rem .9rem;line-height:1.45}
/* Reversed, so that it is scrolled to its end at first. */
.log{max-height:30rem;overflow:auto;display:flex;flex-direction:column-reverse}.log pre{white-space:pre;overflow-wrap:normal;tab-size:8;border:0;padding:0;margin:0}
.command{white-space:pre-wrap;overflow-wrap:anywhere}
:focus-visible{outline:2px solid var(--transfer);outline-offset:2px}
footer{padding-top:1rem;padding-bottom:2rem;color:var(--quiet);font-size:.87rem}
@media (max-width:44rem){
.inner,main,footer{padding-left:.9rem;padding-right:.9rem}.inner{gap:.9rem;padding-top:1.1rem;padding-bottom:1.2rem}
.sign{width:52px;height:52px}h1{font-size:2.2rem}.says{font-size:1rem}
main{padding-top:.9rem;gap:.8rem}section{padding:.9rem .9rem 1rem}
.figures{grid-template-columns:repeat(2,minmax(0,1fr))}.figures dd{font-size:1.15rem}.figures div{padding:.6rem .9rem}.figures div:last-child:nth-child(odd){grid-column:1/-1}
.facts div{grid-template-columns:minmax(0,1fr);gap:0}.facts dt{font-size:.85rem}
.row{grid-template-columns:minmax(0,1fr) auto;column-gap:.6rem;margin-bottom:.3rem}.row .track{grid-column:1/-1;grid-row:2}.row.axis{margin:0}.row.axis .track{grid-row:1}
.chart .note small{display:inline}.level1 .label{padding-left:0}
th,td{padding-left:.5rem}table{font-size:.85rem}}
@media print{body{background:#fff;font-size:12px}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}section,.row{break-inside:avoid}section:has(.log){break-inside:auto}.log{max-height:none;overflow:visible}.log pre{white-space:pre-wrap;overflow-wrap:anywhere}}
`);
