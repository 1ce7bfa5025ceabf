// Function that runs a task; of the calls that come while it runs, only the last one counts.
export function latest(task) {
  let [isRunning, isPending] = [false, false];
  return async () => {
    if (isRunning) {
      isPending = true;
      return;
    }
    isRunning = true;
    try {
      do {
        isPending = false;
        await task();
      } while (isPending);
    } finally {
      isRunning = false;
    }
  };
}
