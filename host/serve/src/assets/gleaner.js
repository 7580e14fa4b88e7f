// Keeps what is on the page current: the server says that something has changed, the page is fetched again, and the
// parts that are marked as live are replaced. Pages are whole without it.
'use strict';
(() => {
  const status = document.getElementById('live');
  let busy = false, stale = false, saidAt = 0;

  const count = (ms) => {
    const s = Math.max(0, Math.ceil(ms / 1000));
    if (s < 60) return `in ${s} s`;
    if (s < 3600) return `in ${Math.ceil(s / 60)} min`;
    if (s < 86400) return `in ${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
    return `in ${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
  };
  setInterval(() => {
    for (const one of document.querySelectorAll('[data-until]')) {
      one.textContent = count(Date.parse(one.dataset.until) - Date.now());
    }
  }, 1000);

  // Not while somebody is in it with the keyboard, and not more than once at a time.
  const refresh = async () => {
    if (busy || document.hidden) { stale = true; return; }
    busy = true;
    stale = false;
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
        for (const old of document.querySelectorAll('[data-live]')) {
          const part = fresh.getElementById(old.id);
          const open = old.querySelector('details[open]');
          if (part && !open && !old.contains(document.activeElement) && part.innerHTML !== old.innerHTML) {
            old.replaceChildren(...part.childNodes);
          }
        }
      }
    } catch { /* the next change tries again */ }
    busy = false;
    if (stale) setTimeout(refresh, 1000);
  };
  document.addEventListener('visibilitychange', () => { if (!document.hidden && stale) refresh(); });

  const source = new EventSource('/api/v1/events');
  source.addEventListener('change', (event) => {
    refresh();
    // A screen reader reads this out: not every second.
    if (Date.now() - saidAt > 15000) {
      saidAt = Date.now();
      const { stats } = JSON.parse(event.data);
      status.textContent = `Live: ${stats.queued} queued, ${stats.in_progress} in progress, ${stats.done} done, ${stats.skipped} skipped, ${stats.error} error.`;
    }
  });
  source.addEventListener('open', () => { if (!saidAt) status.textContent = 'Live: changes are shown as they come.'; });
  source.addEventListener('error', () => { saidAt = 0; status.textContent = 'Not connected; trying again.'; });
})();
