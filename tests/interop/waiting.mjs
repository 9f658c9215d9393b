// What happened, kept until somebody asks: a test may wait for what came before it looked.

const PATIENCE = 30_000;

export class Happened {
  #seen = [];
  #waiting = new Set();

  add(what) {
    this.#seen.push(what);
    for (const look of this.#waiting) look();
  }

  // The first that satisfies the test, or an error that says what was waited for.
  wait(wanted, described) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`did not happen within ${PATIENCE / 1000} s: ${described}`));
      }, PATIENCE);
      const look = () => {
        const found = this.#seen.find(wanted);
        if (found === undefined) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  // Until what happened measures at least so much.
  sum(measure, least, described) {
    const enough = () => this.#seen.reduce((sum, what) => sum + measure(what), 0) >= least;
    return this.wait(enough, described);
  }
}

export const eventually = async (wanted, described) => {
  const until = Date.now() + PATIENCE;
  for (;;) {
    const found = await wanted();
    if (found) return found;
    if (Date.now() > until) throw new Error(`did not happen within ${PATIENCE / 1000} s: ${described}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
