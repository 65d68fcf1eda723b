/**
 * `postern.after_response` on a server that gathers its writes: the task waits for the turn in which the response has
 * left, so that a task that computes does not keep the client waiting.
 */
export function onceFlushed(task: () => unknown): () => Promise<unknown> {
  return async () => {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    return task();
  };
}
