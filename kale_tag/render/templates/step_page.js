{
  const report = () => parent.postMessage(
    Math.ceil(document.documentElement.getBoundingClientRect().height), '*'
  );
  addEventListener('load', report);  // sizes are not watched in frames that are out of sight
  new ResizeObserver(report).observe(document.documentElement);
}
