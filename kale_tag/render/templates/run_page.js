// Each frame is as high as its content, which it tells; nothing else is believed.
const frames = [...document.querySelectorAll('iframe')];
addEventListener('message', (event) => {
  const frame = frames.find((one) => one.contentWindow === event.source);
  if (frame && event.data > 0) frame.style.height = Math.min(event.data + 4, 100000) + 'px';
});

// A link to a step opens it.
const show = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === 'DETAILS') { target.open = true; target.scrollIntoView(); }
};
addEventListener('hashchange', show);
show();
