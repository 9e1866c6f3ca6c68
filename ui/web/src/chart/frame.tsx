/** What charts share: their margins, the grid behind them, and the bubble that names a thing. */

import { useLayoutEffect, useRef, useState } from 'react'
import { formatNumber } from '../format'
import { type Scale, ticks } from './scale'

export const MARGIN = { top: 12, right: 16, bottom: 36, left: 60 }

/** The width that an element has on the page. */
export function useWidth(): [React.RefObject<HTMLDivElement | null>, number] {
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(640)
  useLayoutEffect(() => {
    const element = box.current
    if (!element) return
    const observer = new ResizeObserver(() => setWidth(Math.max(240, element.clientWidth)))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return [box, width]
}

interface Plane {
  x: Scale
  y: Scale
  xLabel: string
  width: number
  height: number
}

/** Lines and numbers behind a chart. */
export function Grid(props: Plane) {
  const { x, y, width, height } = props
  const bottom = height - MARGIN.bottom
  const columns = ticks(x.domain, Math.min(10, width / 90)).filter(Number.isInteger)
  return (
    <g className="number fill-muted text-[11px]">
      {ticks(y.domain, 5).map((value) => (
        <g key={value}>
          <line
            x1={MARGIN.left}
            x2={width - MARGIN.right}
            y1={y.place(value)}
            y2={y.place(value)}
            className="stroke-line"
          />
          <text x={MARGIN.left - 8} y={y.place(value)} dy="0.32em" textAnchor="end">
            {formatNumber(value)}
          </text>
        </g>
      ))}
      {columns.map((value) => (
        <text key={value} x={x.place(value)} y={bottom + 16} textAnchor="middle">
          {value}
        </text>
      ))}
      <text x={width - MARGIN.right} y={height - 4} textAnchor="end">
        {props.xLabel}
      </text>
    </g>
  )
}

/** Names what is pointed at. */
export function Bubble({ text, left, width }: { text: string; left: number; width: number }) {
  const isRight = left > width / 2
  return (
    <div
      className="number pointer-events-none absolute top-2 max-w-[60%] rounded-md bg-ink px-2.5 py-1 text-xs text-paper shadow-lg"
      style={isRight ? { right: width - left + 10 } : { left: left + 10 }}
    >
      {text}
    </div>
  )
}
