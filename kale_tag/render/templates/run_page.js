// Each frame is as high as its content, which it tells; nothing else is believed. This stands above
// the frames, which may tell it before the page is read to its end.
addEventListener('message', (event) => {
  const frames = [...document.querySelectorAll('iframe')];
  const frame = frames.find((one) => one.contentWindow === event.source);
  if (frame && event.data > 0) frame.style.height = Math.min(event.data + 4, 100000) + 'px';
});

// A link to a step opens it.
const show = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === 'DETAILS') { target.open = true; target.scrollIntoView(); }
};
addEventListener('hashchange', show);
addEventListener('DOMContentLoaded', show);
