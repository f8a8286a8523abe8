"""
The GraphiQL page, loaded from a public CDN and served in development only.

The header `Authorization` of its editor is also sent in the WebSocket's `connection_init`.
"""

from __future__ import annotations

from typing import Final

GRAPHIQL: Final = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Mobinet GraphiQL</title>
    <style>body { margin: 0 } #graphiql { height: 100vh }</style>
    <link rel="stylesheet" crossorigin href="https://unpkg.com/graphiql@3.8.3/graphiql.min.css"
      integrity="sha384-Mq3vbRBY71jfjQAt/DcjxUIYY33ksal4cgdRt9U/hNPvHBCaT2JfJ/PTRiPKf0aM">
  </head>
  <body>
    <div id="graphiql">Loading…</div>
    <script crossorigin src="https://unpkg.com/react@18.2.0/umd/react.production.min.js"
      integrity="sha384-tMH8h3BGESGckSAVGZ82T9n90ztNXxvdwvdM6UoR56cYcf+0iGXBliJ29D+wZ/x8"></script>
    <script crossorigin src="https://unpkg.com/react-dom@18.2.0/umd/react-dom.production.min.js"
      integrity="sha384-bm7MnzvK++ykSwVJ2tynSE5TRdN+xL418osEVF2DE/L/gfWHj91J2Sphe582B1Bh"></script>
    <script crossorigin src="https://unpkg.com/graphiql@3.8.3/graphiql.min.js"
      integrity="sha384-HbRVEFG0JGJZeAHCJ9Xm2+tpknBQ7QZmNlO/DgZtkZ0aJSypT96YYGRNod99l9Ie"></script>
    <script>
      const url = location.origin + location.pathname;
      const socket = url.replace(/^http/, "ws");
      const fetcher = (params, options) => {
        const headers = (options && options.headers) || {};
        const authorization = headers.Authorization || headers.authorization;
        const wsConnectionParams = authorization ? { authorization } : {};
        const make = GraphiQL.createFetcher;
        return make({ url, subscriptionUrl: socket, wsConnectionParams })(params, options);
      };
      const place = document.getElementById("graphiql");
      if (window.GraphiQL) {
        const page = React.createElement(GraphiQL, { fetcher, shouldPersistHeaders: true });
        ReactDOM.createRoot(place).render(page);
      } else {
        place.textContent = "GraphiQL comes from unpkg.com, which cannot be reached from here. "
          + "Every other GraphQL client does: POST to " + url;
      }
    </script>
  </body>
</html>
"""
