/* Progressive enhancement only: every page works without this file. */
(() => {
  const d = document, on = (e, t, f) => e.addEventListener(t, f), all = (s, f) => d.querySelectorAll(s).forEach(f);
  const say = t => { d.getElementById('say').textContent = t; };
  d.documentElement.classList.add('on');
  d.querySelector('[data-focus]')?.focus();
  // 1. Settle guard: a decision within 500 ms of this page appearing or getting focus is not taken (double-click hijack), and a second one never.
  all('form[data-decision]', f => {
    let t;
    const arm = () => { f.dataset.ready = 'false'; clearTimeout(t); t = setTimeout(() => { f.dataset.ready = 'true'; }, 500); };
    arm();
    on(window, 'focus', arm);
    on(window, 'pageshow', () => { delete f.dataset.sent; f.querySelectorAll('[aria-disabled]').forEach(b => b.removeAttribute('aria-disabled')); arm(); });
    on(d, 'visibilitychange', () => d.hidden || arm());
    on(f, 'submit', e => {
      if (e.submitter?.value === 'review') return;
      if (f.dataset.sent) return e.preventDefault();
      if (f.dataset.ready !== 'true') { e.preventDefault(); return say('Press again to confirm your choice'); }
      f.dataset.sent = '1';
      e.submitter?.setAttribute('aria-disabled', 'true');
    });
  });
  // 2. Copy buttons, and buttons that show what is typed into a password field.
  all('[data-copy]', b => on(b, 'click', async () => {
    await navigator.clipboard.writeText(d.getElementById(b.dataset.copy).textContent);
    say('Copied');
  }));
  all('[data-show]', b => on(b, 'click', () => {
    const i = d.getElementById(b.dataset.show), hidden = i.type === 'password';
    i.type = hidden ? 'text' : 'password';
    b.setAttribute('aria-pressed', hidden);
  }));
  // 3. Live figures: one region is replaced from the same address every 15 s, until paused or hidden.
  const live = d.querySelector('[data-live]');
  if (live) {
    let run = true;
    const b = d.getElementById('live-toggle');
    if (b) on(b, 'click', () => { run = !run; b.textContent = run ? 'Pause live updates' : 'Resume live updates'; });
    setInterval(async () => {
      if (!run || d.hidden) return;
      const r = await fetch(location.href, { headers: { Accept: 'text/html' } }).catch(() => null);
      if (!r?.ok || r.redirected) return;
      const n = new DOMParser().parseFromString(await r.text(), 'text/html').querySelector('[data-live]');
      if (n) live.replaceChildren(...n.childNodes);
    }, 15000);
  }
})();
