// Each frame is as high as its content.
for (const frame of document.querySelectorAll('iframe')) {
  const fit = () => {
    const inner = frame.contentDocument;
    if (inner && inner.body && frame.offsetParent) {
      inner.body.style.margin = '0 auto';
      const height = inner.documentElement.getBoundingClientRect().height;
      frame.style.height = Math.ceil(height + 4) + 'px';
    }
  };
  const start = () => {
    if (!frame.contentDocument) return;
    fit();
    new ResizeObserver(fit).observe(frame.contentDocument.documentElement);
  };
  frame.addEventListener('load', start);
  if (frame.contentDocument && frame.contentDocument.readyState === 'complete') start();
  for (let up = frame.closest('details'); up; up = up.parentElement.closest('details'))
    up.addEventListener('toggle', fit);
}

// A link to a step opens it.
const show = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === 'DETAILS') { target.open = true; target.scrollIntoView(); }
};
addEventListener('hashchange', show);
show();
