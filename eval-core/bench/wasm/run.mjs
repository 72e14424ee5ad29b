// Times the exports of the module whose path is the argument, in this Node.js' V8.
import { readFile } from 'node:fs/promises';

const module = await WebAssembly.compile(await readFile(process.argv[2]));

/** Median and fastest of `n` timed calls, in milliseconds, after as many that warm up. */
function time(n, call) {
    for (let i = 0; i < n; i++) call(i);
    const took = [];
    for (let i = 0; i < n; i++) {
        const began = performance.now();
        call(i);
        took.push(performance.now() - began);
    }
    took.sort((a, b) => a - b);
    return `${took[n >> 1].toFixed(3)} ms (fastest ${took[0].toFixed(3)})`;
}

for (const n of [1000, 10_000]) {
    const { exports } = await WebAssembly.instantiate(module, {});
    const bytes = exports.prepare(n);
    const enrolled = exports.decide_all(0);
    console.log(
        `wasm in Node.js ${process.version}: ${n} experiments, blob ${bytes} bytes: all decisions of a unit ` +
            `${time(300, (i) => exports.decide_all(i))}, of which ${enrolled} enrol; loading ${time(100, () => exports.load())}`,
    );
}
